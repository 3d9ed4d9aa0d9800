// The schedules: kept as the stream tells them, shown in the cards of their drives, made and cancelled.

import * as api from './api.js';
import { askWhen } from './schedule_dialog.js';
import { announce } from './live.js';
import { now } from './clock.js';
import { scheduleText } from './schedule_words.js';

const FINISHED = ['fired', 'missed', 'cancelled', 'failed'];

export function createSchedules(drives) {
    const known = new Map(); // id -> schedule; ids sort by time

    function render() {
        const all = [...known.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
        for (const drive of drives.all()) drives.setSchedules(drive.name, all.filter(s => s.drive === drive.name));
    }

    async function attempt(name, order) {
        drives.problemOf(name).clear();
        try {
            set(await order());
        } catch (e) {
            if (!(e instanceof api.Problem)) throw e;
            if (e.doc.code !== 'too_late') drives.problemOf(name).show(e.doc, []); // it fired meanwhile, as everybody can see
        }
    }

    function set(schedule) {
        const before = known.get(schedule.id);
        // An event may have overtaken the answer to a request.
        if (before && FINISHED.includes(before.state) && !FINISHED.includes(schedule.state)) return;
        known.set(schedule.id, schedule);
        if (['missed', 'failed'].includes(schedule.state) && before?.state !== schedule.state)
            announce(`${schedule.drive}: ${scheduleText(schedule, now()).text}`);
        render();
    }

    return {
        async load() {
            const page = await api.schedules({ limit: 500 }); // trayd keeps fewer than a hundred
            known.clear();
            for (const s of page.schedules) known.set(s.id, s);
            render();
        },
        render,
        set,
        async ask(drive) {
            const wish = await askWhen(drive);
            if (wish) await attempt(drive.name, () => api.addSchedule(wish));
        },
        cancel: (drive, schedule) => attempt(drive.name, () => api.cancelSchedule(schedule.id)),
    };
}
