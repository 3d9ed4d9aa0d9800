// One drive as a card: its front panel, what is in it, what the host does, what is under way, and what went wrong.

import { now } from './clock.js';
import { el, keyedList, newId, sentences, setAttribute, setText, show } from './dom.js';
import { createPanel } from './panel.js';
import { isOpen, scheduleText, shown } from './schedule_words.js';
import { problemPlace } from './problem.js';
import { action, canCancel, canForce, evidence, host, kind, mediumFacts, pinholeOff, state, steady, underWay, visible, waiting,
    warnings } from './words.js';

function mediumPart() {
    const name = el('bdi', { class: 'medium-name' });
    const facts = el('span', { class: 'facts' });
    const node = el('div', { class: 'medium' }, name, ' ', facts);
    return {
        node,
        update(drive, time) {
            setAttribute(node, 'data-empty', !drive.medium);
            setText(name, drive.medium ? visible(drive.medium.image) : 'No medium');
            setText(facts, drive.medium ? mediumFacts(drive.medium, time).join(' · ') : '');
        },
    };
}

function operationPart(use) {
    const title = el('p', { class: 'operation-title' });
    const text = el('p', { class: 'operation-waits' });
    const bar = el('progress', { 'aria-hidden': 'true' });
    const force = el('button', { type: 'button', class: 'danger', onclick: () => use.forceNow() }, 'Force now…');
    const cancel = el('button', { type: 'button', onclick: () => use.cancel() }, 'Cancel');
    const node = el('div', { class: 'operation', hidden: true }, title, text, bar,
        el('div', { class: 'buttons' }, force, cancel));
    return {
        node,
        update(drive, time) {
            const op = drive.operation;
            show(node, op);
            if (!op) return;
            const waits = waiting(op, time);
            setText(title, underWay(op));
            setText(text, waits.text);
            if (waits.left !== null && waits.of > 0) {
                setAttribute(bar, 'max', waits.of);
                setAttribute(bar, 'value', Math.min(waits.left, waits.of));
            } else {
                setAttribute(bar, 'value', null);
            }
            show(force, canForce(drive));
            show(cancel, canCancel(op));
        },
    };
}

function queuePart(use) {
    const list = el('ol');
    const node = el('div', { class: 'queue', hidden: true }, el('p', { class: 'label' }, 'Then'), list);
    const update = keyedList(list, op => op.id, op => {
        const text = el('span');
        return {
            node: el('li', {}, el('div', { class: 'queued' }, text,
                el('button', { type: 'button', class: 'quiet', onclick: () => use.cancel(op) }, 'Cancel'))),
            update: newer => setText(text, action(newer)),
        };
    });
    return {
        node,
        update(drive) {
            show(node, drive.queue.length > 0);
            update(drive.queue);
        },
    };
}

function schedulePart(use) {
    const list = el('ul');
    const node = el('div', { class: 'queue scheduled', hidden: true }, el('p', { class: 'label' }, 'Scheduled'), list);
    let all = [];
    const update = keyedList(list, item => item.schedule.id, ({ schedule }) => {
        const text = el('span');
        const cancel = el('button', { type: 'button', class: 'quiet', onclick: () => use.cancelSchedule(schedule) }, 'Cancel');
        return {
            node: el('li', { 'data-schedule': schedule.id }, text, cancel),
            update(item) {
                const words = scheduleText(item.schedule, item.time);
                setText(text, words.text);
                setAttribute(text, 'data-tone', words.tone);
                show(cancel, isOpen(item.schedule));
            },
        };
    });
    return {
        node,
        set(schedules) {
            all = schedules;
        },
        update(drive, time) {
            const items = shown(all, time).map(schedule => ({ schedule, time }));
            show(node, items.length > 0);
            update(items);
        },
    };
}

const TRY = 500; // ms; a kernel that is asked answers sooner, or hangs, which is shown then

// use: eject, pinhole, forceNow, cancel, insert, schedule, cancelSchedule - each called with the card's newest drive.
export function createCard(first, use) {
    let drive = first;
    let waitingSince = null;
    let unshown = null; // a drive whose operation is trying just now
    let trying = null;  // the timer that shows it all the same
    const bound = Object.fromEntries(Object.keys(use).map(name => [name, more => use[name](drive, more)]));
    const panel = createPanel(first, bound);
    const parts = [panel, mediumPart(), operationPart(bound), queuePart(bound), schedulePart(bound)];
    const [, medium, operation, queue, scheduled] = parts;
    const heading = newId('drive');
    const word = el('span', { class: 'state' });
    const warned = el('ul', { class: 'sentences warnings' });
    const seen = el('ul', { class: 'sentences evidence' });
    const link = el('p', { class: 'host' });
    const note = el('p', { class: 'host-ejected', hidden: true });
    const noPinhole = el('p', { class: 'note' });
    const insert = el('button', { type: 'button', onclick: () => bound.insert() });
    const later = el('button', { type: 'button', class: 'quiet', onclick: () => bound.schedule() }, 'Eject later…');
    const problem = problemPlace();
    const showWarnings = sentences(warned);
    const showEvidence = sentences(seen);
    const node = el('article', { class: 'drive', 'aria-labelledby': heading, 'data-drive': first.name },
        el('header', {}, el('h3', { id: heading }, el('bdi', {}, first.name)), ' ',
            el('span', { class: 'kind' }, kind(first.type)), ' ', word),
        panel.node,
        el('div', { class: 'drive-body' }, medium.node, note, warned, operation.node, queue.node, scheduled.node, problem.node,
            el('div', { class: 'seen' }, seen, link),
            el('div', { class: 'buttons' }, insert, later, noPinhole)));

    function tick() {
        const time = now();
        for (const part of parts) part.update(drive, time);
        const { word: text, tone } = state(drive);
        setText(word, text);
        setAttribute(word, 'data-tone', tone);
        showWarnings(warnings(drive, time));
        showEvidence(drive.medium ? evidence(drive.evidence, drive.medium, time, waitingSince) : []);
        setText(link, host(drive.host));
        setText(insert, drive.medium ? 'Change the medium…' : 'Insert an image…');
        setAttribute(insert, 'class', drive.medium ? null : 'primary');
        setText(noPinhole, drive.capabilities.forced_eject ? '' : `No pinhole: ${pinholeOff(drive).toLowerCase()}.`);
    }

    return {
        node,
        problem,
        tick,
        update(newer) {
            const waits = ['host', 'storage'].includes(newer.evidence.waiting_for);
            if (!waits) waitingSince = null;
            else if (waitingSince === null || newer.evidence.waiting_for !== drive.evidence.waiting_for) waitingSince = now();
            if (newer.generation !== drive.generation && newer.medium) show(note, false);
            drive = steady(drive, newer);
            if (drive === newer) {
                clearTimeout(trying);
                trying = null;
            } else {
                unshown = newer;
                trying ??= setTimeout(() => {
                    trying = null;
                    drive = unshown;
                    tick();
                }, TRY);
            }
            tick();
        },
        setSchedules(schedules) {
            scheduled.set(schedules);
            tick();
        },
        hostEjected(sentence) {
            setText(note, sentence);
            show(note, true);
        },
    };
}
