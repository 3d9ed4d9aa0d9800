// The transfers under way, but for the uploads of this page: what others send, what waits to be continued, what is fetched
// or made. One that fails while the page is open stays until it was seen.

import * as api from './api.js';
import { el, keyedList, setAttribute, setText, show } from './dom.js';
import { problemPlace } from './problem.js';
import { isShown, transferFacts, transferKind, transferProblem } from './transfer_words.js';
import { visible } from './words.js';

function createRow(first, use) {
    let transfer = first;
    const name = el('bdi', { class: 'image-name' });
    const facts = el('span', { class: 'facts' });
    const bar = el('progress', { max: 1 });
    const problem = problemPlace();
    const cancel = el('button', { type: 'button', onclick: () => use.cancel(transfer) }, 'Cancel');
    const node = el('li', { class: 'transfer', 'data-transfer': first.id },
        el('div', { class: 'image-words' }, name, bar, facts), cancel, problem.node);
    return {
        node,
        update(newer) {
            transfer = newer;
            const failed = transfer.state === 'failed';
            setText(name, visible(transfer.name ?? transferKind(transfer)));
            setText(facts, transferFacts(transfer, use.now()).join(' · '));
            show(bar, !failed);
            setAttribute(bar, 'aria-label', `Progress of the ${transferKind(transfer)} of ${transfer.name}`);
            setAttribute(bar, 'value', transfer.progress);
            setText(cancel, failed ? 'Remove' : 'Cancel');
            setAttribute(cancel, 'aria-label', `${failed ? 'Remove' : 'Cancel'} the ${transferKind(transfer)} of ${transfer.name}`);
            if (failed && !problem.shown()) problem.show(transferProblem(transfer));
        },
    };
}

// use: isOurs(transfer), changed() when another set of transfers is shown, now().
export function createTransfers(list, use) {
    const known = new Map(); // by id
    const update = keyedList(list, t => t.id, t => createRow(t, { ...use, cancel }));
    let count = 0;

    const shown = () => [...known.values()].filter(t => isShown(t) && !use.isOurs(t));

    function render() {
        const all = shown();
        update(all);
        if (all.length !== count) use.changed();
        count = all.length;
    }

    async function cancel(transfer) {
        if (transfer.state === 'failed') {
            known.delete(transfer.id);
            render();
            return;
        }
        try {
            set(await api.cancelTransfer(transfer.id));
        } catch (e) {
            if (!(e instanceof api.Problem)) throw e;
            await load(); // it ended by itself
        }
    }

    function set(transfer) {
        known.set(transfer.id, transfer);
        if (!isShown(transfer)) known.delete(transfer.id);
        render();
    }

    async function load() {
        const failed = [...known.values()].filter(t => t.state === 'failed');
        known.clear();
        for (const t of failed) known.set(t.id, t);
        for (const t of await api.transfers()) if (t.state === 'running' || t.state === 'paused') known.set(t.id, t);
        render();
    }

    return { load, set, render, shows: image => !image.complete && shown().some(t => t.name === image.name && t.store === image.store) };
}
