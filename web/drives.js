// All drives, as cards.

import { createCard } from './card.js';
import { now } from './clock.js';
import { keyedList, show } from './dom.js';
import { announce } from './live.js';
import { ago } from './units.js';
import { announcement, quoted } from './words.js';

const NOWHERE = { show() {}, clear() {}, shown: () => null };

export function createDrives(section) {
    const known = new Map(); // name -> drive, in the order of the configuration
    const cards = new Map();
    const left = new Map();  // name -> {image, at}: what the host itself ejected
    const told = new Map();  // name -> how many events there had been with its newest
    let events = 0;
    let use = {};
    let changed = () => {};
    const list = section.querySelector('.drives');
    const none = section.querySelector('.none');

    const update = keyedList(list, drive => drive.name, drive => {
        const card = createCard(drive, use);
        cards.set(drive.name, card);
        return card;
    });

    function render() {
        update([...known.values()]);
        for (const name of cards.keys()) if (!known.has(name)) cards.delete(name);
        show(none, known.size === 0);
        changed();
    }

    function sayWhoEjected() {
        for (const [name, { image, at }] of left)
            cards.get(name)?.hostEjected(`The host itself ejected ${quoted(image)}, ${ago(at, now())}.`);
    }

    return {
        // Needs the orders, which need the drives.
        connect(orders, whenChanged) {
            use = orders;
            changed = whenChanged;
        },
        get: name => known.get(name),
        all: () => [...known.values()],
        problemOf: name => cards.get(name)?.problem ?? NOWHERE,
        // Events that come between a question and its answer are newer than the answer: mark() when asking.
        mark: () => events,
        setAll(drives, asked) {
            const before = new Map(known);
            known.clear();
            for (const drive of drives) known.set(drive.name, told.get(drive.name) > asked ? before.get(drive.name) : drive);
            render();
        },
        set(drive) {
            told.set(drive.name, ++events);
            const before = known.get(drive.name);
            known.set(drive.name, drive);
            if (before && (before.state !== drive.state || before.generation !== drive.generation)) announce(announcement(drive));
            if (drive.medium) left.delete(drive.name);
            render();
        },
        setSchedules: (name, schedules) => cards.get(name)?.setSchedules(schedules),
        hostEjected({ drive, image }) {
            left.set(drive, { image, at: new Date(now()).toISOString() });
            announce(`${drive}: the host itself ejected ${quoted(image)}`);
            sayWhoEjected();
        },
        tick() {
            for (const card of cards.values()) card.tick();
            sayWhoEjected();
        },
    };
}
