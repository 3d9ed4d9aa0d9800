// Orders to the USB device as a whole, and the line that tells how it is.

import * as api from './api.js';
import { confirm } from './confirm.js';
import { el, keyedList, setText, show } from './dom.js';
import { announce } from './live.js';
import { problemPlace } from './problem.js';
import { banners, systemFacts } from './words.js';

const ALL = 'Everything on this USB cable is disturbed for the host: keyboard and mouse too.';
const ORDERS = {
    attach: null,
    reattach: {
        title: 'Unplug the USB device from the host, and plug it in again?',
        text: [ALL, 'Media stay in their drives. It takes a second or two.'], yes: 'Reattach',
    },
    detach: {
        title: 'Unplug the USB device from the host?',
        text: [ALL, 'It stays away until it is attached again. Media stay in their drives.'], yes: 'Detach',
    },
};

function label(order, what = '') {
    return order[0].toUpperCase() + order.slice(1) + what + (ORDERS[order] ? '…' : '');
}

export function createGadget(page) {
    let system = null;
    let link = 'connecting';
    const facts = page.querySelector('.system-facts');
    const tools = page.querySelector('.system-tools');
    const problem = problemPlace();
    page.querySelector('.system').append(problem.node);

    async function send(order, allowCollateral = false) {
        const question = ORDERS[order];
        if (question && !allowCollateral && !await confirm(question)) return;
        problem.clear();
        try {
            await api.gadget(order, allowCollateral); // the stream tells how it is then
        } catch (e) {
            if (!(e instanceof api.Problem)) throw e;
            problem.show(e.doc, e.doc.code === 'collateral_in_use' ? [{
                label: 'Do it anyway', danger: true, run: () => send(order, true),
                note: 'What the host has not written yet to that medium may be lost.',
            }] : []);
        }
    }

    const showBanners = keyedList(page.querySelector('.banners'), banner => banner.key + banner.order, banner => {
        const text = el('span');
        return {
            node: el('div', { class: 'banner', 'data-tone': banner.tone, 'data-key': banner.key }, text,
                banner.order && el('button', { type: 'button', onclick: () => send(banner.order) }, label(banner.order, ' it'))),
            update: newer => setText(text, newer.text),
        };
    });
    const buttons = Object.fromEntries(['attach', 'reattach', 'detach'].map(order => [order, el('button', {
        type: 'button', class: 'quiet', onclick: () => send(order),
    }, label(order))]));
    tools.append(...Object.values(buttons));

    function render() {
        const bound = system?.gadget?.bound;
        showBanners(banners(link, system));
        setText(facts, systemFacts(system).join(' · '));
        show(buttons.attach, system?.gadget && !bound);
        show(buttons.reattach, bound);
        show(buttons.detach, bound);
    }

    return {
        send,
        set(newer) {
            system = newer;
            render();
        },
        isReachable: () => Boolean(system?.gadget),
        setLink(state) {
            if (state !== link && (state === 'lost' || link === 'lost'))
                announce(state === 'lost' ? 'Connection lost, trying again' : 'Connected again');
            link = state;
            render();
        },
    };
}
