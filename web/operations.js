// The history of operations, with the steps on demand.

import * as api from './api.js';
import { now } from './clock.js';
import { el, keyedList, sentences, setAttribute, setText, show } from './dom.js';
import { clockTime } from './units.js';
import { action, outcome, quoted, step } from './words.js';

const PAGE = 12;

function createRow(first) {
    let op = first;
    let loaded = false;
    const time = el('time');
    const what = el('span', { class: 'op-what' });
    const result = el('span', { class: 'op-outcome' });
    const by = el('span', { class: 'facts' });
    const list = el('ol', { class: 'sentences steps' });
    const more = el('p', { class: 'facts' });
    const showSteps = sentences(list);
    const details = el('details', { ontoggle: toggled },
        el('summary', {}, time, ' ', el('span', {}, what, ' ', result)), el('div', { class: 'op-more' }, list, more, by));
    const node = el('li', { 'data-operation': first.id }, details);

    function renderSteps() {
        showSteps(op.steps.map(step));
        setText(more, [op.steps.length ? '' : 'No steps are known.', op.state === 'failed' ? op.detail : ''].filter(Boolean).join(' '));
    }

    async function toggled() {
        if (!details.open || loaded) return;
        loaded = true;
        try {
            op = await api.operation(op.id);
        } catch (e) {
            if (!(e instanceof api.Problem)) throw e;
            loaded = false; // what the list knew is shown
        }
        renderSteps();
    }

    return {
        node,
        update(newer) {
            op = newer;
            const { text, tone } = outcome(op);
            setText(time, clockTime(op.accepted_at, now()));
            setAttribute(time, 'datetime', op.accepted_at);
            setText(what, `${op.drive}: ${action(op)}`);
            setText(result, text);
            setAttribute(result, 'data-tone', tone);
            setText(by, [op.by ? `Asked by ${quoted(op.by)}` : '', op.id].filter(Boolean).join(' · '));
            if (details.open) renderSteps();
        },
    };
}

export function createOperations(section) {
    const known = new Map(); // id -> operation; ids sort by time
    let next = null;
    const update = keyedList(section.querySelector('.operations'), op => op.id, createRow);
    const none = section.querySelector('.none');
    const more = section.querySelector('.more');

    function render() {
        update([...known.values()].sort((a, b) => (a.id < b.id ? 1 : -1)));
        show(none, known.size === 0);
        show(more, next);
    }

    async function load(after) {
        const page = await api.operations({ limit: PAGE, after });
        const before = new Map(known);
        if (!after) known.clear();
        for (const op of page.operations) // an event may have overtaken the answer
            known.set(op.id, before.get(op.id)?.finished_at ? before.get(op.id) : op);
        next = page.next;
        render();
    }

    more.addEventListener('click', () => load(next).catch(() => { /* the banner tells that the connection is lost */ }));
    return {
        load: () => load(),
        set(op) {
            const oldest = [...known.keys()].sort()[0];
            if (next && !known.has(op.id) && op.id < oldest) return; // a later page brings it
            known.set(op.id, op);
            render();
        },
    };
}
