// The stores, one line each: what is free, and how one is taken away and brought back.

import * as api from './api.js';
import { askDetach } from './detach_dialog.js';
import { el, keyedList, setAttribute, setText, show } from './dom.js';
import { announce } from './live.js';
import { problemPlace } from './problem.js';
import { canStay, detachEffects, detachRemedies, isAway, isLeaving, storeProblem, storeProgress, storeState } from './store_words.js';

function createRow(first, use) {
    let store = first;
    let wish = {};      // of the last attempt
    let seen = null;    // the failure that was shown; it may have been dismissed since
    const state = el('span', { class: 'facts' });
    const bar = el('progress', { max: 1 });
    const problem = problemPlace();
    const detach = el('button', { type: 'button', class: 'quiet', onclick: ask }, 'Remove safely…');
    const attach = el('button', { type: 'button', class: 'quiet', onclick: () => order('attach') });
    const node = el('li', { class: 'store', 'data-store': first.name },
        el('span', { class: 'store-name' }, first.name), state, bar, detach, attach, problem.node);

    async function order(what, body) {
        problem.clear();
        try {
            if (what === 'attach') use.set(await api.attachStore(store.name));
            else await api.detachStore(store.name, body); // the stream is ahead of this answer
        } catch (e) {
            if (!(e instanceof api.Problem)) throw e;
            problem.show(e.doc);
        }
    }

    async function ask() {
        const answer = await askDetach(store, detachEffects(store, use.drives(), await use.transfers()));
        if (!answer) return;
        wish = answer;
        await order('detach', wish);
    }

    function showFailure() {
        const failed = storeProblem(store);
        const mark = failed && JSON.stringify(store.detach_failed);
        if (!failed && seen) problem.clear();
        const news = failed && mark !== seen;
        seen = mark;
        if (!news) return;
        problem.show(failed, store.detach_failed.step === 'mount' ? [] : detachRemedies(failed.code).map(remedy => ({
            ...remedy, run: () => order('detach', wish = { unmount: true, ...wish, ...remedy.change }),
        })));
    }

    return {
        node,
        update(newer) {
            const was = store;
            store = newer;
            const { text, tone } = storeState(store);
            const progress = storeProgress(store);
            if (isAway(store) && !isAway(was)) announce(`${store.name}: ${text}`);
            setText(state, text);
            setAttribute(state, 'data-tone', tone);
            show(bar, progress !== null);
            setAttribute(bar, 'value', progress);
            setAttribute(bar, 'aria-label', `Progress of detaching ${store.name}`);
            show(detach, !store.detached);
            show(attach, isAway(store) || canStay(store));
            setText(attach, isLeaving(store) ? 'Keep it' : 'Attach');
            setAttribute(attach, 'aria-label', isLeaving(store) ? `Keep the store ${store.name}` : `Attach the store ${store.name}`);
            setAttribute(detach, 'aria-label', `Remove the store ${store.name} safely`);
            showFailure();
        },
    };
}

// use: drives(), transfers() a promise of them, set(store): it is so now.
export function createStores(list, use) {
    return keyedList(list, store => store.name, store => createRow(store, use));
}
