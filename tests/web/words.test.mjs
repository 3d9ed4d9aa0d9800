// What the page says: node --test tests/web/

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { fit, imageFacts, readonlyDefault, uncleanText, usedBy } from '../../web/image_words.js';
import { CHOICES, scheduleText, shown } from '../../web/schedule_words.js';
import { remedies } from '../../web/remedies.js';
import * as units from '../../web/units.js';
import * as words from '../../web/words.js';

const NOW = Date.parse('2026-11-21T12:00:00Z');
const at = seconds => new Date(NOW + seconds * 1000).toISOString();
const plain = text => text.replace(/[\u2066-\u2069]/g, '');
const texts = list => list.map(item => plain(item.text ?? item));

const EVIDENCE = {
    lock: 'unknown', lock_seen_at: null, last_read_at: null, last_write_at: null, bytes_read: 0, bytes_written: 0,
    waiting_for: 'nothing', shared: false,
};
const MEDIUM = {
    image: 'debian.iso', store: 'main', size: 661651456, readonly: true, inserted_at: null, inserted_by: null, etag: '"a-1"',
};
const DRIVE = {
    name: 'cd0', label: 'CD-ROM cd0', type: 'cdrom', state: 'loaded', generation: 1, medium: MEDIUM,
    host: { link: 'configured', speed: 'high-speed', polling: true }, evidence: EVIDENCE, operation: null, queue: [],
    quarantine_until: null, stale_host: false, stuck: null, stall: null, storage_cut: null,
    capabilities: { forced_eject: true, break_io: false, signal: false, reattach: 'last_resort', max_cdrom_bytes: 2359293952 },
};
const STICK = { ...DRIVE, name: 'usb0', type: 'disk', state: 'empty', medium: null };
const OP = {
    id: '0123456789abcdef0123', drive: 'cd0', action: 'eject', state: 'done', code: null, detail: null, waits_for: null, next: null,
    mode: 'orderly', patience: 25, on_timeout: 'fail', image: null, readonly: null, by: 'local', accepted_at: at(-1),
    steps: [], evidence: EVIDENCE, patience_until: null,
};
const IMAGE = {
    name: 'debian.iso', store: 'main', size: 661651456, modified: null, complete: true, readonly: false, sha256: null,
    drives: [], suggested_type: 'cdrom',
};

test('sizes', () => {
    for (const [count, text] of [[0, '0 bytes'], [1, '1 byte'], [999, '999 bytes'], [1000, '1 kB'], [12400000, '12.4 MB'],
        [999499, '999 kB'], [999600, '1 MB'], [661651456, '662 MB'], [5.8e9, '5.8 GB'], [2e15, '2 PB'], [3e18, '3000 PB']])
        assert.equal(units.bytes(count), text);
    assert.equal(units.exactBytes(661651456), '661\u202f651\u202f456 bytes');
    assert.equal(units.exactBytes(12), '12 bytes');
});

test('durations and ages', () => {
    for (const [seconds, text] of [[-5, '0 s'], [14.4, '14 s'], [99, '99 s'], [125, '2 min'], [3900, '1 h 5 min'], [200000, '2 days']])
        assert.equal(units.duration(seconds), text);
    assert.equal(units.ago(at(-3), NOW), '3 s ago');
    assert.equal(units.ago(at(5), NOW), 'just now', 'a clock that is a little ahead');
    assert.equal(units.secondsUntil(at(17.2), NOW), 18);
    assert.equal(units.secondsUntil(at(-1), NOW), 0);
});

test('times of day', () => {
    const say = time => units.clockTime(time, NOW, 'en-GB', 'UTC');
    assert.equal(say('2026-11-21T02:10:00Z'), '02:10');
    assert.match(say('2026-11-20T02:10:00Z'), /20 Nov.*02:10/);
    assert.match(say('2025-11-21T02:10:00Z'), /21 Nov 2025.*02:10/);
});

test('names cannot disturb what stands around them', () => {
    assert.equal(words.visible('a\u202egpj.exe'), 'a‹U+202E›gpj.exe');
    assert.equal(words.visible('zero\u200bwidth\u2069'), 'zero‹U+200B›width‹U+2069›');
    assert.equal(words.visible('שלום.iso'), 'שלום.iso', 'honest right-to-left names stay');
    assert.equal(words.quoted('x'), '\u2068x\u2069');
});

test('evidence', () => {
    const e = { ...EVIDENCE, lock: 'locked', lock_seen_at: at(-3), bytes_read: 12400000, last_read_at: at(-2) };
    assert.deepEqual(texts(words.evidence(e, MEDIUM, NOW)),
        ['The host keeps the medium locked (asked 3 s ago)', 'The host read 12.4 MB, last 2 s ago']);
    const waits = { ...e, waiting_for: 'storage', shared: true, bytes_written: 5000, last_write_at: at(-60) };
    assert.deepEqual(texts(words.evidence(waits, { ...MEDIUM, readonly: false }, NOW, NOW - 14000)).slice(2),
        ['It wrote 5 kB, last 60 s ago', 'Waiting for the storage under the image for 14 s',
            'Other drives of the same USB function are counted in']);
    assert.deepEqual(words.tellingEvidence(EVIDENCE, NOW), [], 'a problem lists only what is known');
    assert.match(texts(words.evidence({ ...EVIDENCE, waiting_for: 'unknown' }, MEDIUM, NOW)).at(-1), /cannot be seen/);
});

test('the host', () => {
    assert.match(words.host(DRIVE.host), /^Host connected at high speed; it looks/);
    assert.match(words.host({ ...DRIVE.host, polling: false }), /may miss a new medium/);
    assert.equal(words.host({ link: 'not attached', speed: null, polling: null }), 'No host is connected');
    assert.match(words.host({ link: 'detached', speed: null, polling: null }), /no host can see/);
    assert.match(words.host({ link: 'addressed', speed: null, polling: null }), /connecting \(addressed\)/);
    assert.match(words.host({ ...DRIVE.host, dropped: true }), /given up the USB device/);
});

test('warnings', () => {
    assert.deepEqual(words.warnings(DRIVE, NOW), []);
    const stall = { waiting_for: 'storage', since: at(-12), host_patience_until: at(18), what_happens: 'The host resets all', shared: false };
    assert.match(texts(words.warnings({ ...DRIVE, stall }, NOW))[0], /^A command of the host's has waited for the storage under the image for 12 s\. The host waits for another 18 s\. The host resets all\.$/);
    assert.match(texts(words.warnings({ ...DRIVE, stall: { ...stall, shared: true, host_patience_until: at(-1) } }, NOW))[0], /perhaps for another drive .*The patience of the host has ended/);
    const cut = { how: 'nbd', at: at(-1), error: null };
    assert.match(texts(words.warnings({ ...DRIVE, storage_cut: cut }, NOW))[0], /was cut: the host gets errors until it is set up again\.$/);
    assert.match(texts(words.warnings({ ...DRIVE, medium: { ...MEDIUM, readonly: false }, storage_cut: cut }, NOW))[0], /may be lost/);
    assert.match(texts(words.warnings({ ...DRIVE, storage_cut: { ...cut, error: 'It is gone' } }, NOW))[0], /could not be cut: It is gone/);
    assert.match(texts(words.warnings({ ...DRIVE, quarantine_until: at(42) }, NOW))[0], /another 42 s/);
    assert.match(texts(words.warnings({ ...DRIVE, stuck: 'It waits for storage' }, NOW))[0], /^Stuck\. It waits for storage\./);
    assert.match(texts(words.warnings({ ...STICK, stale_host: true }, NOW))[0], /read-only media are safe/);
    assert.match(texts(words.warnings({ ...STICK, unannounced: true }, NOW))[0], /may not have noticed/);
});

test('while an eject asks once more its countdown and its buttons stay', () => {
    const next = { what: 'ask', at: at(1), then: 'fail', then_at: at(20) };
    const waits = { ...DRIVE, state: 'ejecting', operation: { ...OP, state: 'waiting', waits_for: 'the host', next } };
    const asks = { ...waits, generation: 2, operation: { ...waits.operation, state: 'running', waits_for: 'the kernel', next: null } };
    const shown = words.steady(waits, asks);
    assert.equal(shown.generation, 2);
    assert.deepEqual(shown.operation, waits.operation);
    assert.equal(words.canForce(shown) && words.canCancel(shown.operation), true);
    assert.equal(words.steady(asks, asks), asks);
    assert.equal(words.steady({ ...waits, operation: { ...waits.operation, id: 'another' } }, asks), asks);
    assert.equal(words.steady({ ...waits, operation: { ...waits.operation, next: { ...next, what: 'insert' } } }, asks), asks);
    const gone = { ...DRIVE, medium: null, operation: null };
    assert.equal(words.steady(waits, gone), gone);
});

test('what waits, and for how long', () => {
    const next = { what: 'ask', at: at(0.5), then: 'fail', then_at: at(17.5) };
    const op = { ...OP, state: 'waiting', waits_for: 'the host to release the medium', patience_until: at(17.5), next };
    const clock = units.clockSeconds(at(17.5));
    assert.deepEqual(words.waiting(op, NOW), {
        text: `Waits for the host to release the medium; asks again until ${clock}, then gives up (18 s)`, left: 18, of: 25 });
    assert.match(words.waiting({ ...op, next: { ...next, then: 'force' } }, NOW).text, /then uses force \(18 s\)$/);
    assert.equal(words.waiting({ ...op, state: 'running', waits_for: 'the kernel to eject' }, NOW).left, null);
    const dwell = { ...op, waits_for: 'the host to notice the empty drive', next: { what: 'insert', at: at(3), then: null, then_at: null } };
    assert.deepEqual(words.waiting(dwell, NOW), {
        text: `Waits for the host to notice the empty drive; inserts the image at ${units.clockSeconds(at(3))} (3 s)`, left: null, of: null });
    const chance = { what: 'signal', at: null, then: 'reattach', then_at: at(1) };
    assert.match(words.waiting({ ...op, next: chance }, NOW).text, /ejects as soon as the host pauses until .*, then unplugs/);
    assert.equal(words.waiting({ ...op, next: null }, NOW).text, 'Waits for the host to release the medium');
    assert.equal(words.waiting({ ...op, state: 'queued' }, NOW).text, 'Waits for its turn');
    const drive = { ...DRIVE, operation: op };
    assert.equal(words.canForce(drive), true);
    assert.equal(words.canForce({ ...drive, capabilities: { ...DRIVE.capabilities, forced_eject: false } }), false);
    assert.equal(words.canForce({ ...drive, operation: { ...op, mode: 'forced' } }), false);
    assert.equal(words.canCancel({ ...op, state: 'running' }), false);
});

test('outcomes', () => {
    const say = change => words.outcome({ ...OP, ...change }).text;
    assert.equal(say({}), 'ejected');
    assert.equal(say({ forced: true }), 'ejected by force');
    assert.equal(say({ forced: true, lock_overridden: true }), "ejected by force: the host's lock was overridden");
    assert.equal(say({ unchanged: true }), 'nothing to do: the drive was empty');
    assert.equal(say({ action: 'insert', reattached: true }), 'inserted; the USB device was reattached');
    assert.match(say({ forced: true, stale_host: true, raced_with_write: true, durable: false }), /damaged.*still hold.*reached the disk/);
    assert.equal(say({ state: 'failed', code: 'medium_in_use', evidence: { ...EVIDENCE, lock: 'locked' } }), 'refused: the host keeps the medium locked');
    assert.equal(say({ state: 'failed', code: 'medium_in_use', evidence: { ...EVIDENCE, last_write_at: at(-1) } }), 'refused: the host is writing');
    assert.equal(say({ state: 'failed', code: 'brand_new', detail: 'Because.' }), 'failed: Because.');
    assert.match(say({ action: 'insert', state: 'failed', code: 'quarantine', emptied_at: at(-1) }), /the drive was left empty$/);
    assert.equal(say({ state: 'cancelled' }), 'cancelled');
    assert.equal(words.step({ rung: 'ask', outcome: 'busy', started_at: null, duration: 0.002, detail: '4 times' }),
        'Asked for the medium: the host holds on to it, 2 ms, 4 times');
    const collateral = { disconnect: true, drives: ['usb0'], functions: ['hid.keyboard'] };
    assert.equal(plain(words.step({ rung: 'reattach', outcome: 'done', duration: 1.2, detail: null, collateral })),
        'Reattached the USB device: done, 1 s, disconnected usb0, hid.keyboard too');
    assert.equal(plain(words.step({ rung: 'break', outcome: 'SIGUSR1', duration: 0, detail: null, collateral: { ...collateral, disconnect: false } })),
        "Interrupted the host's command: SIGUSR1, 0 ms, touched usb0, hid.keyboard too");
    assert.equal(words.step({ rung: 'new', outcome: 'no_space', duration: null, detail: null }), 'new: no space');
});

test('buttons of the front panel', () => {
    assert.equal(words.ejectOff(DRIVE), null);
    assert.equal(words.ejectOff(STICK), 'The drive is empty');
    assert.match(words.pinholeOff({ ...DRIVE, capabilities: { ...DRIVE.capabilities, forced_eject: false } }), /kernel/);
    assert.equal(words.pinholeOff({ ...DRIVE, operation: { ...OP, state: 'waiting' } }), null, 'an orderly eject can be overtaken');
    assert.match(texts(words.pinholeRisks(DRIVE, NOW)).join(' '), /nothing on it can be damaged/);
    const writable = { ...DRIVE, medium: { ...MEDIUM, readonly: false }, evidence: { ...EVIDENCE, last_write_at: at(-3) } };
    assert.match(texts(words.pinholeRisks(writable, NOW)).join(' '), /may lose data.*last wrote 3 s ago/);
});

test('images and drives', () => {
    const drives = [DRIVE, STICK];
    assert.deepEqual(usedBy(IMAGE, drives), ['cd0']);
    assert.deepEqual(usedBy({ ...IMAGE, store: 'other' }, drives), []);
    assert.deepEqual(usedBy({ ...IMAGE, name: 'x' }, [{ ...STICK, queue: [{ ...OP, action: 'insert', image: 'x', store: 'main' }] }]), ['usb0']);
    assert.match(fit(IMAGE, DRIVE, drives).text, /in cd0 already/);
    assert.equal(fit({ ...IMAGE, complete: false }, STICK, drives).ok, false);
    assert.equal(fit({ ...IMAGE, size: 3e9, name: 'x' }, DRIVE, drives).ok, false);
    assert.equal(fit({ ...IMAGE, size: 3e9, name: 'x' }, STICK, drives).ok, true);
    assert.equal(fit({ ...IMAGE, name: 'x', suggested_type: 'disk' }, DRIVE, drives).tone, 'warn');
    const writer = { ...STICK, name: 'usb1', medium: { ...MEDIUM, readonly: false } };
    assert.match(fit(IMAGE, STICK, [writer, STICK]).text, /in usb1, where the host may write/);
    assert.equal(readonlyDefault(IMAGE, DRIVE).value, true);
    assert.deepEqual(readonlyDefault({ ...IMAGE, suggested_type: 'disk' }, STICK), { value: false, fixed: null });
    assert.equal(readonlyDefault({ ...IMAGE, suggested_type: 'disk' }, { ...STICK, stale_host: true }).value, true);
    assert.deepEqual(imageFacts({ ...IMAGE, complete: false, received: 5e6, size: 1e7 }, NOW, 'main'), ['being received', '10 MB in all']);
});

test('remedies ask the same thing, differently', () => {
    const request = { kind: 'insert', image: 'a', readonly: false };
    const labels = (code, drive = DRIVE) => remedies(code, request, drive).map(remedy => remedy.label);
    assert.deepEqual(labels('stale_host'), ['Insert read-only', 'Reattach, then insert', 'Accept the risk']);
    assert.deepEqual(remedies('stale_host', request, DRIVE)[0].request, { ...request, readonly: true });
    const never = { ...DRIVE, capabilities: { ...DRIVE.capabilities, reattach: 'never', forced_eject: false } };
    assert.deepEqual(labels('stale_host', never), ['Insert read-only', 'Accept the risk']);
    assert.deepEqual(labels('medium_in_use', never), ['Wait longer']);
    assert.equal(remedies('medium_in_use', request, DRIVE)[1].confirm, true, 'force always asks first');
    assert.deepEqual(labels('no_such_code'), []);
});

test('banners', () => {
    const gadget = { version: '1', bound: true, udc: 'x.udc', state: 'configured', speed: 'high-speed', differences: null, error: null };
    const system = { version: '1', kernel: '6.1', gadget };
    const keys = (link, s) => words.banners(link, s).map(banner => banner.key);
    assert.deepEqual(keys('open', system), []);
    assert.deepEqual(keys('lost', system), ['lost']);
    assert.deepEqual(keys('open', { ...system, gadget: null }), ['gadget']);
    assert.deepEqual(words.banners('open', { ...system, gadget: { ...gadget, bound: false } })[0].order, 'attach');
    const dropped = { ...system, gadget: { ...gadget, host_dropped: true } };
    assert.deepEqual(words.banners('open', dropped).map(banner => [banner.key, banner.order]), [['dropped', 'reattach']]);
    assert.match(words.systemFacts(dropped).join(' · '), /given up by the host/);
    assert.match(words.systemFacts(system).join(' · '), /Attached to x\.udc · host connected, high speed · trayd 1 · Linux 6\.1/);
});

test('schedules', () => {
    const SCHEDULE = { id: 'a', drive: 'cd0', action: 'eject', when: { after: 60 }, enabled: true, state: 'armed', waits_for: 'its time',
        next_at: '2026-11-21T14:02:00Z', resets_seen: 0, image: undefined, detail: null, finished_at: null };
    const say = change => plain(scheduleText({ ...SCHEDULE, ...change }, NOW).text);
    assert.match(say({}), /^Ejects at /);
    assert.match(say({ mode: 'forced' }), /^Ejects by force at /);
    assert.match(say({ action: 'insert', image: 'two.iso', when: { host_ejected: true }, next_at: null }), /^Inserts two.iso when the host ejects$/);
    assert.equal(say({ when: { host_resets: 1 }, next_at: null }), 'Boot once: ejects when the host restarts');
    assert.equal(say({ when: { host_resets: 3 }, next_at: null, resets_seen: 1 }), 'Ejects when the host has restarted 3 times, 1 seen');
    assert.equal(say({ when: { quiet_for: 120 }, next_at: null }), 'Ejects when the host has been quiet for 2 min');
    assert.match(say({ waits_for: 'the clock to be set' }), /waits for the clock to be set/);
    assert.match(say({ enabled: false, next_at: null, when: { after: 60 } }), /^Ejects after 60 s \(switched off\)$/);
    assert.match(say({ state: 'missed', next_at: null, when: { at: '2026-11-21T11:00:00Z' } }), /^Missed: ejects at /);
    assert.match(say({ state: 'failed', detail: 'The host keeps it.' }), /^Failed: .*The host keeps it\.$/);
    const all = [SCHEDULE, { ...SCHEDULE, state: 'fired', finished_at: at(-1) }, { ...SCHEDULE, state: 'missed', finished_at: at(-60) },
        { ...SCHEDULE, state: 'failed', finished_at: at(-100000) }];
    assert.deepEqual(shown(all, NOW).map(s => s.state), ['armed', 'missed']);
    assert.deepEqual(CHOICES.after.when(30), { after: 1800 });
    assert.deepEqual(CHOICES.quiet.when(5), { quiet_for: 300 });
    assert.deepEqual(CHOICES.once.when(1), { host_resets: 1 });
    assert.deepEqual(CHOICES.at.when('2026-11-21T14:02:00Z'), { at: '2026-11-21T14:02:00.000Z' });
});

test('an unclean image says why, and what to do', () => {
    const image = { name: 'a.img', store: 'main', size: 1, complete: true, suggested_type: 'disk' };
    const mark = (reason, dirty) => ({ ...image, unclean: { at: at(-3600), by: 'ann', operation: '0', reason, filesystem_dirty: dirty } });
    assert.equal(uncleanText(image, NOW), null);
    assert.equal(uncleanText({ ...image, unclean: null }, NOW), null);
    assert.match(uncleanText(mark('forced', true), NOW), /^Unclean since .*\(ann\): It was taken by force.*not closed.*fsck/);
    assert.match(uncleanText(mark('not_durable', null), NOW), /storage.*check its file system/);
    assert.match(uncleanText(mark('raced_with_write', false), NOW), /while the host wrote.*closed by now/);
    assert.match(uncleanText(mark('something new', null), NOW), /has lost it/);
    assert.equal(fit(mark('forced', null), STICK, [STICK]).text, null); // it goes where it went before
});
