// A problem that a person can read, copy, and do something about.

import { el } from './dom.js';
import { now } from './clock.js';
import { tellingEvidence } from './words.js';

// Evidence comes with every failed operation, but explains only some.
const ABOUT_THE_HOST = new Set(['medium_in_use', 'drive_stuck', 'collateral_in_use']);

function evidenceOf(doc) {
    return doc.evidence && ABOUT_THE_HOST.has(doc.code) ? tellingEvidence(doc.evidence, now()) : [];
}

function asText(doc) {
    const lines = [doc.title, doc.detail, doc.remedy, ...evidenceOf(doc)];
    if (doc.code) lines.push(`code: ${doc.code}`);
    if (doc.drive) lines.push(`drive: ${doc.drive}`);
    if (doc.operation) lines.push(`operation: ${doc.operation}`);
    return lines.filter(Boolean).join('\n');
}

// Where the clipboard is not to be had (plain http from another machine), the text is selected instead.
async function copy(text, button, box) {
    try {
        await navigator.clipboard.writeText(text);
        button.textContent = 'Copied';
    } catch {
        getSelection().selectAllChildren(box);
        button.textContent = 'Selected';
    }
}

// remedies: [{label, note, danger, run}]; dismissed: called when the person has seen it.
export function problemBox(doc, remedies, dismissed) {
    const seen = evidenceOf(doc);
    const words = el('div', { class: 'problem-words' },
        el('p', { class: 'problem-title' }, doc.title),
        doc.detail && el('p', {}, doc.detail),
        seen.length > 0 && el('ul', {}, ...seen.map(text => el('li', {}, text))),
        doc.remedy && remedies.length === 0 && el('p', {}, doc.remedy)); // else the buttons say it
    const list = remedies.length > 0 && el('ul', { class: 'remedies' }, ...remedies.map(remedy => el('li', {},
        el('button', { type: 'button', class: remedy.danger ? 'danger' : '', onclick: remedy.run }, remedy.label),
        remedy.note && el('span', { class: 'note' }, remedy.note))));
    const copyButton = el('button', {
        type: 'button', class: 'quiet', onclick: () => copy(asText(doc), copyButton, words),
    }, 'Copy');
    return el('div', { class: 'problem', role: 'alert' }, words, list,
        el('div', { class: 'problem-tools' }, copyButton,
            el('button', { type: 'button', class: 'quiet', onclick: dismissed }, 'Dismiss')));
}

// A place that shows at most one problem.
export function problemPlace() {
    const node = el('div', { class: 'problem-place' });
    let shown = null;
    const clear = () => {
        shown = null;
        node.replaceChildren();
    };
    return {
        node,
        clear,
        shown: () => shown,
        show(doc, remedies = []) {
            shown = doc;
            node.replaceChildren(problemBox(doc, remedies, clear));
        },
    };
}
