// What a person asks of a drive, and what becomes of it. A request is data ({kind, ...}, see remedies.js), so that it
// can be asked again, differently.

import * as api from './api.js';
import { now } from './clock.js';
import { confirm } from './confirm.js';
import { announce } from './live.js';
import { remedies } from './remedies.js';
import { outcome, pinholeRisks, problemOf, quoted } from './words.js';

// What the person saw is what the order is about: nothing else is to be ejected or replaced. While something is under
// way the medium is about to change, and only the queue's order counts.
function condition(drive) {
    if (drive.operation) return {};
    return drive.medium ? { 'If-Match': drive.medium.etag } : { 'If-None-Match': '*' };
}

function send(drive, { kind, ...parameters }) {
    if (kind === 'insert') return api.insert(drive.name, parameters, condition(drive));
    return api.eject(drive.name, parameters, drive.medium ? condition(drive) : {});
}

// drives: get(name) and problemOf(name), where problems are shown; gadget(order): for a remedy of that kind.
export function createOrders(drives, gadget) {
    const unfinished = new Map(); // operations whose answer came before their end (202): id -> request

    function confirmForce(drive) {
        return confirm({
            title: `Take ${quoted(drive.medium?.image ?? 'the medium')} out of ${drive.name} by force?`,
            text: drive.medium ? pinholeRisks(drive, now()) : ['The medium comes out whatever the host is doing with it.'],
            yes: 'Take it out by force',
        });
    }

    function show(name, doc, request) {
        if (doc.code === 'cancelled') return; // somebody wanted that
        const drive = drives.get(name);
        drives.problemOf(name).show(doc, remedies(doc.code, request, drive).map(remedy => ({
            ...remedy,
            run: () => (remedy.gadget ? gadget(remedy.gadget) : run(name, remedy.request, remedy.confirm)),
        })));
    }

    async function run(name, request, asksFirst) {
        const drive = drives.get(name);
        if (asksFirst && !await confirmForce(drive)) return;
        drives.problemOf(name).clear();
        try {
            const op = await send(drives.get(name), request);
            if (op.state === 'done') announce(`${name}: ${outcome(op).text}`);
            else unfinished.set(op.id, request);
        } catch (e) {
            if (!(e instanceof api.Problem)) throw e;
            show(name, e.doc, request);
        }
    }

    async function change(name, order) {
        try {
            await order();
        } catch (e) {
            if (!(e instanceof api.Problem)) throw e;
            if (e.doc.code !== 'too_late') show(name, e.doc, null); // it ended meanwhile, as everybody can see
        }
    }

    return {
        eject: drive => run(drive.name, { kind: 'eject', mode: 'orderly' }),
        insert: (drive, body) => run(drive.name, { kind: 'insert', ...body }),
        async pinhole(drive) {
            if (await confirmForce(drive)) await run(drive.name, { kind: 'eject', mode: 'forced' });
        },
        async forceNow(drive) {
            const { id } = drive.operation;
            if (await confirmForce(drive)) await change(drive.name, () => api.force(id));
        },
        cancel: (drive, op = drive.operation) => change(drive.name, () => api.cancel(op.id)),
        // From the stream: a later success makes an old problem void; an operation of ours may end after its answer.
        ended(op) {
            const old = drives.problemOf(op.drive).shown();
            if (op.state === 'done' && old && op.id > (old.operation ?? '')) drives.problemOf(op.drive).clear();
            const request = unfinished.get(op.id);
            if (!request || !['done', 'failed', 'cancelled'].includes(op.state)) return;
            unfinished.delete(op.id);
            if (op.state === 'failed') show(op.drive, problemOf(op), request);
        },
    };
}
