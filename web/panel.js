// The front of a drive: a tray that comes out, or a stick that leaves its socket; a light; the eject button and the
// pinhole. The pictures only move by classes that style sheets know (data-place on the panel).

import { el, isOff, setAttribute, setOff, svg } from './dom.js';
import { ejectOff, pinholeOff } from './words.js';

const BUSY_FOR = 3000; // ms after the host last read or wrote in which the light flickers

function cdrom() {
    return svg('svg', { class: 'art art-cdrom', viewBox: '0 0 240 64', 'aria-hidden': 'true', focusable: 'false' },
        svg('rect', { class: 'slot', x: 6, y: 12, width: 228, height: 26, rx: 4 }),
        svg('g', { class: 'tray' },
            svg('g', { class: 'disc' },
                svg('ellipse', { class: 'disc-face', cx: 120, cy: 14, rx: 92, ry: 11 }),
                svg('ellipse', { class: 'disc-shine', cx: 120, cy: 14, rx: 58, ry: 7 }),
                svg('ellipse', { class: 'disc-hole', cx: 120, cy: 14, rx: 16, ry: 2.4 })),
            svg('rect', { class: 'lip', x: 6, y: 12, width: 228, height: 26, rx: 4 }),
            svg('path', { class: 'lip-line', d: 'M20 31.5h200' })));
}

function stick() {
    return svg('svg', { class: 'art art-disk', viewBox: '0 0 240 64', 'aria-hidden': 'true', focusable: 'false' },
        svg('rect', { class: 'slot', x: 6, y: 12, width: 46, height: 40, rx: 4 }),
        svg('rect', { class: 'tongue', x: 12, y: 27, width: 34, height: 9, rx: 1.5 }),
        svg('rect', { class: 'ghost', x: 58, y: 14, width: 150, height: 36, rx: 7 }),
        svg('g', { class: 'stick' },
            svg('rect', { class: 'plug', x: 10, y: 18, width: 50, height: 28, rx: 2 }),
            svg('rect', { class: 'plug-hole', x: 22, y: 24, width: 8, height: 5 }),
            svg('rect', { class: 'plug-hole', x: 22, y: 35, width: 8, height: 5 }),
            svg('rect', { class: 'body', x: 56, y: 14, width: 150, height: 36, rx: 7 }),
            svg('path', { class: 'body-line', d: 'M72 24v16M80 24v16M88 24v16' }),
            svg('circle', { class: 'body-hole', cx: 192, cy: 32, r: 5 })));
}

function ejectSign() {
    return svg('svg', { class: 'sign', viewBox: '0 0 16 16', 'aria-hidden': 'true', focusable: 'false' },
        svg('path', { d: 'M8 2.5 14 9.5H2zM2 11.5h12v2H2z' }));
}

// Where the medium is, for the pictures.
function place(drive) {
    if (drive.state === 'inserting' || drive.state === 'ejecting') return 'moving';
    return drive.medium ? 'in' : 'out';
}

function light(drive, now) {
    const last = Math.max(...[drive.evidence.last_read_at, drive.evidence.last_write_at].map(t => (t ? Date.parse(t) : 0)));
    if (drive.state === 'stuck') return 'stuck';
    if (drive.state === 'inserting' || drive.state === 'ejecting') return 'busy';
    if (!drive.medium) return 'off';
    return now - last < BUSY_FOR ? 'busy' : 'on';
}

// use.eject() and use.pinhole() are called where they can be.
export function createPanel(drive, use) {
    const button = (name, attributes, ...children) => el('button', {
        type: 'button', ...attributes, onclick: event => { if (!isOff(event.currentTarget)) use[name](); },
    }, ...children);
    const eject = button('eject', { class: 'eject', 'aria-label': `Eject ${drive.name}` }, ejectSign(), 'Eject');
    const pinhole = button('pinhole', { class: 'pinhole', 'aria-label': `Pinhole of ${drive.name}: eject by force…`,
        'data-title': 'Pinhole: takes the medium out by force' }, el('span', { class: 'hole' }));
    const lamp = el('span', { class: 'lamp', 'aria-hidden': 'true' });
    const node = el('div', { class: 'panel' }, drive.type === 'cdrom' ? cdrom() : stick(),
        el('div', { class: 'panel-controls' }, lamp, eject,
            el('span', { class: 'pinhole-place' }, pinhole, el('span', { class: 'engraved', 'aria-hidden': 'true' }, 'force'))));
    return {
        node,
        update(d, now) {
            setAttribute(node, 'data-place', place(d));
            setAttribute(lamp, 'data-light', light(d, now));
            setOff(eject, ejectOff(d));
            setOff(pinhole, pinholeOff(d));
        },
    };
}
