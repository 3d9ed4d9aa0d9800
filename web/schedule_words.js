// What schedules mean, in sentences, and what the form about one asks for. Pure, as words.js.

import { clockTime, duration } from './units.js';
import { quoted } from './words.js';

const TOLD_FOR = 24 * 3600 * 1000; // ms; how long a card tells of one that did not happen

export function isOpen(schedule) {
    return schedule.state === 'armed' || schedule.state === 'firing';
}

// Those that a drive's card shows: what is to come, and what should have happened and did not.
export function shown(schedules, now) {
    return schedules.filter(s => isOpen(s) ||
        (['missed', 'failed'].includes(s.state) && now - Date.parse(s.finished_at) < TOLD_FOR));
}

function what(schedule) {
    if (schedule.action === 'insert') return `inserts ${quoted(schedule.image)}`;
    return schedule.mode === 'forced' ? 'ejects by force' : 'ejects';
}

function when(schedule, now) {
    const [[kind, value]] = Object.entries(schedule.when);
    if (kind === 'at' || kind === 'after') {
        const time = schedule.next_at ?? schedule.when.at;
        return time ? `at ${clockTime(time, now)}` : `after ${duration(value)}`;
    }
    if (kind === 'quiet_for') return `when the host has been quiet for ${duration(value)}`;
    if (kind === 'host_ejected') return 'when the host ejects';
    const seen = schedule.resets_seen ? `, ${schedule.resets_seen} seen` : '';
    return value === 1 ? 'when the host restarts' : `when the host has restarted ${value} times${seen}`;
}

function capital(text) {
    return text[0].toUpperCase() + text.slice(1);
}

const UNSURE = ['the clock to be set', 'what the host does to be seen', 'a medium', 'the disk, before its operation is begun'];

export function scheduleText(schedule, now) {
    const plan = `${what(schedule)} ${when(schedule, now)}`;
    if (schedule.state === 'missed') return { text: `Missed: ${plan}`, tone: 'warn' };
    if (schedule.state === 'failed') return { text: `Failed: ${plan}. ${schedule.detail ?? ''}`.trim(), tone: 'bad' };
    if (!schedule.enabled) return { text: `${capital(plan)} (switched off)` };
    const once = schedule.when.host_resets === 1 && schedule.action === 'eject' ? 'Boot once: ' : '';
    const text = once ? once + plan : capital(plan);
    return UNSURE.includes(schedule.waits_for) ? { text: `${text} (waits for ${schedule.waits_for})`, tone: 'warn' } : { text };
}

// What the form offers: what it asks for beside, with a first answer, and the `when` that comes of it.
export const CHOICES = {
    after: { label: 'After some minutes', unit: 'Minutes', first: 30, min: 1, max: 527040, when: n => ({ after: n * 60 }) },
    at: { label: 'At a time', time: true, when: text => ({ at: new Date(text).toISOString() }) },
    quiet: { label: 'When the host is quiet', unit: 'Minutes without reading or writing', first: 5, min: 1, max: 10080,
        when: n => ({ quiet_for: n * 60 }) },
    once: { label: 'Boot once: when the host restarts', unit: 'Restarts', first: 1, min: 1, max: 1000, when: n => ({ host_resets: n }),
        note: 'A PC that starts may count twice: its firmware, and then its operating system.' },
};

// "2026-11-21T14:02" in the reader's time zone, as <input type="datetime-local"> has it.
export function localInput(ms) {
    const d = new Date(ms - new Date(ms).getTimezoneOffset() * 60000);
    return d.toISOString().slice(0, 16);
}
