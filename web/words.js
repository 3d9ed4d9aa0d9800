// What the API's states and evidence mean, in sentences. Pure: everything here takes JSON of the API and the
// appliance's time (ms), and returns text; tests/web/words.test.mjs has the examples.

import { ago, bytes, clockSeconds, clockTime, duration, secondsUntil } from './units.js';

// ---- names ---------------------------------------------------------------------------------------------------------

// Characters that would change the order or hide parts of what stands around them are spelled out.
const INVISIBLE = /[\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

export function visible(name) {
    return name.replace(INVISIBLE, c => `‹U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}›`);
}

// For a sentence: isolated, so that a name written from right to left leaves the sentence as it is.
export function quoted(name) {
    return `\u2068${visible(name)}\u2069`;
}

const KINDS = { cdrom: 'CD/DVD drive', disk: 'USB stick' };

export function kind(type) {
    return KINDS[type] ?? type;
}

// ---- drives --------------------------------------------------------------------------------------------------------

const STATES = {
    empty: { word: 'Empty', tone: 'idle' },
    inserting: { word: 'Inserting', tone: 'busy' },
    loaded: { word: 'Loaded', tone: 'good' },
    ejecting: { word: 'Ejecting', tone: 'busy' },
    quarantine: { word: 'Kept empty', tone: 'warn' },
    stuck: { word: 'Stuck', tone: 'bad' },
    detached: { word: 'Detached', tone: 'warn' },
};

export function state(drive) {
    return STATES[drive.state] ?? { word: drive.state, tone: 'idle' };
}

// The whole card in one sentence, for whoever cannot see it.
export function announcement(drive) {
    const medium = drive.medium ? `, with ${quoted(drive.medium.image)}` : '';
    return `${drive.name}: ${state(drive).word}${medium}`;
}

export function mediumFacts(medium, now) {
    const facts = [bytes(medium.size), medium.readonly ? 'read-only' : 'writable'];
    if (medium.inserted_at) {
        const by = medium.inserted_by ? ` by ${quoted(medium.inserted_by)}` : '';
        facts.push(`in since ${clockTime(medium.inserted_at, now)}${by}`);
    } else if (medium.inserted_by) {
        facts.push(`put in by ${quoted(medium.inserted_by)}`);
    }
    return facts;
}

const SPEEDS = {
    'low-speed': 'low speed', 'full-speed': 'full speed', 'high-speed': 'high speed', 'super-speed': 'super speed',
    'super-speed-plus': 'super speed plus',
};

export function speedName(speed) {
    return SPEEDS[speed] ?? speed;
}

export function host(h) {
    if (h.link === 'detached') return 'Not attached to a USB port: no host can see the drive';
    if (h.link === 'not attached') return 'No host is connected';
    if (h.link === 'suspended') return 'The host is asleep, or has suspended the device';
    if (h.link !== 'configured') return `A host is connecting (${h.link})`;
    if (h.dropped) return 'The host has most likely given up the USB device';
    const connected = h.speed ? `Host connected at ${speedName(h.speed)}` : 'Host connected';
    if (h.polling === true) return `${connected}; it looks at the drive regularly`;
    if (h.polling === false) return `${connected}; it does not look at the drive by itself, and may miss a new medium`;
    return connected;
}

function lockSentence(e, now) {
    const asked = e.lock_seen_at ? ` (asked ${ago(e.lock_seen_at, now)})` : '';
    if (e.lock === 'locked') return { text: `The host keeps the medium locked${asked}`, tone: 'warn' };
    if (e.lock === 'unlocked') return `The host does not lock the medium${asked}`;
    return 'Whether the host has locked it is not known before an eject asks';
}

function activity(verb, count, last, now) {
    if (!last) return count > 0 ? `${verb} ${bytes(count)}` : `${verb} nothing yet`;
    return `${verb} ${bytes(count)}, last ${ago(last, now)}`;
}

const WAITING = { storage: 'Waiting for the storage under the image', host: 'Waiting for the host to go on' };

// What is seen of the host. `waitingSince` (ms) is when the page first saw it wait; unknown is null.
export function evidence(e, medium, now, waitingSince = null) {
    const list = [lockSentence(e, now)];
    list.push(activity('The host read', e.bytes_read, e.last_read_at, now));
    if (!medium || !medium.readonly || e.bytes_written > 0)
        list.push(activity('It wrote', e.bytes_written, e.last_write_at, now));
    if (WAITING[e.waiting_for]) {
        const since = waitingSince === null ? 0 : (now - waitingSince) / 1000;
        list.push({ text: WAITING[e.waiting_for] + (since >= 2 ? ` for ${duration(since)}` : ''), tone: 'warn' });
    } else if (e.waiting_for === 'unknown') {
        list.push('What it does just now cannot be seen');
    }
    if (e.shared) list.push('Other drives of the same USB function are counted in');
    return list;
}

// The same for a problem: only what says something.
export function tellingEvidence(e, now) {
    return evidence(e, null, now).map(item => item.text ?? item).filter(text => !/nothing yet|not known|cannot be seen/.test(text));
}

const HANGS = { host: 'the host, which has stopped in the middle of it', storage: 'the storage under the image' };

// A command that gets no further, and how long the host still waits.
function stall(s, now) {
    const left = secondsUntil(s.host_patience_until, now);
    const since = Math.max(0, now - Date.parse(s.since)) / 1000;
    const whose = s.shared ? "A command of the host's, perhaps for another drive of the same USB function," : "A command of the host's";
    const rest = left ? `The host waits for another ${duration(left)}. ` : 'The patience of the host has ended. ';
    return `${whose} has waited for ${HANGS[s.waiting_for] ?? 'something unknown'} for ${duration(since)}. ${rest}${s.what_happens}.`;
}

function cut(c, medium) {
    if (c.error) return `The storage under the medium hangs, and could not be cut: ${c.error}.`;
    const lost = medium && !medium.readonly ? ' What the host wrote last may be lost.' : '';
    return `The storage under the medium hung and was cut: the host gets errors until it is set up again.${lost}`;
}

export function warnings(drive, now) {
    const list = [];
    if (drive.stall) list.push({ tone: 'bad', text: stall(drive.stall, now) });
    if (drive.medium?.storage_gone && !drive.storage_cut)
        list.push({ tone: 'bad', text: 'The storage under the medium has gone: the host gets errors. The pinhole takes the medium out.' });
    if (drive.storage_cut) list.push({ tone: 'bad', text: cut(drive.storage_cut, drive.medium) });
    if (drive.stuck) list.push({ tone: 'bad', text: `Stuck. ${drive.stuck}. It recovers by itself when that comes back.` });
    if (drive.quarantine_until) {
        const left = secondsUntil(drive.quarantine_until, now);
        const rest = left ? ` for another ${duration(left)}` : '';
        list.push({ tone: 'warn', text: `It must stay empty${rest}: the host may still hold commands for the old medium.` });
    }
    if (drive.stale_host)
        list.push({ tone: 'warn', text: 'A writable medium was taken out by force, and the host may still hold data for it. '
            + 'Until the host has seen a reattach, only read-only media are safe here.' });
    if (drive.unannounced)
        list.push({ tone: 'warn', text: 'The host may not have noticed this medium, and show an older one: an interruption on its '
            + 'USB function cleared the report.' });
    if (drive.state === 'detached')
        list.push({ tone: 'warn', text: 'The USB device is not attached, so no host can see this drive.' });
    return list;
}

// Why a button of the front panel cannot be used now; null where it can.
export function ejectOff(drive) {
    if (!drive.medium) return drive.operation ? 'There is nothing in the drive yet' : 'The drive is empty';
    if (drive.operation?.action === 'eject') return 'It is being ejected already';
    return null;
}

export function pinholeOff(drive) {
    if (!drive.capabilities.forced_eject) return 'This kernel cannot force an eject';
    if (!drive.medium) return 'The drive is empty';
    if (drive.operation?.action === 'eject' && drive.operation.mode === 'forced') return 'It is being forced out already';
    return null;
}

// What a forced eject may cost, before it is done.
export function pinholeRisks(drive, now) {
    const { medium, evidence: e } = drive;
    const list = ['The medium comes out whatever the host is doing with it.'];
    if (medium.readonly) {
        list.push('It is read-only, so nothing on it can be damaged. Programs on the host that still read it get errors.');
    } else {
        list.push({ tone: 'bad', text: 'The host may lose data: what it has not written yet never arrives, and the file '
            + 'system on the image may be left damaged.' });
        list.push('Afterwards the drive takes only read-only media, until the host has seen a reattach.');
    }
    if (e.last_write_at) list.push(`The host last wrote ${ago(e.last_write_at, now)}.`);
    if (e.last_read_at) list.push(`The host last read ${ago(e.last_read_at, now)}.`);
    if (e.lock === 'locked') list.push('The host keeps the medium locked.');
    return list;
}

// ---- operations ----------------------------------------------------------------------------------------------------

export function action(op) {
    const image = op.image ? quoted(op.image) : 'an image';
    if (op.action === 'insert') return `Insert ${image}${op.readonly ? ', read-only' : ''}`;
    if (op.action === 'eject') return op.mode === 'forced' ? 'Eject by force' : 'Eject';
    return op.action === 'reattach' ? 'Reattach' : op.action;
}

export function underWay(op) {
    const image = op.image ? quoted(op.image) : 'an image';
    if (op.action === 'insert') return `Inserting ${image}${op.readonly ? ', read-only' : ''}`;
    if (op.action === 'eject') return op.mode === 'forced' ? 'Ejecting by force' : 'Ejecting';
    return op.action === 'reattach' ? 'Reattaching' : op.action;
}

const NEXT = {
    ask: 'asks again',
    force: 'uses force',
    signal: 'ejects as soon as the host pauses',
    break_io: "interrupts the host's command",
    reattach: 'unplugs the USB device for a moment',
    insert: 'inserts the image',
    fail: 'gives up',
    stuck: 'calls the drive stuck',
    finish_unsynced: 'goes on without waiting for the disk',
    cut: 'cuts the storage that hangs',
};

// "asks again until 14:02:10, then uses force": what the clock will bring.
function forecast(next) {
    const first = NEXT[next.what] ?? '';
    if (!next.then_at) return first && next.at ? `${first} at ${clockSeconds(next.at)}` : first;
    return `${first ? `${first} until` : 'until'} ${clockSeconds(next.then_at)}, then ${NEXT[next.then] ?? next.then}`;
}

// What it waits for and what comes next, and the countdown where patience counts: {text, left, of} in seconds; left is
// null where not.
export function waiting(op, now) {
    if (op.state === 'queued') return { text: 'Waits for its turn', left: null, of: null };
    const text = op.waits_for && op.waits_for !== 'nothing' ? `Waits for ${op.waits_for}` : 'Under way';
    if (op.state !== 'waiting' || !op.next) return { text, left: null, of: null };
    const end = op.next.then_at ?? op.next.at;
    const left = end ? secondsUntil(end, now) : null;
    const said = `${text}; ${forecast(op.next)}${left ? ` (${duration(left)})` : ''}`;
    const patient = end && op.patience_until && Math.abs(Date.parse(end) - Date.parse(op.patience_until)) < 1000;
    return patient ? { text: said, left, of: op.patience } : { text: said, left: null, of: null };
}

// The newer drive as it is shown after the one before. An eject that asks the host again and again is "running" for the moment
// of each try: its countdown and its buttons stay meanwhile, so that nobody's click goes nowhere.
export function steady(was, newer) {
    const [before, op] = [was.operation, newer.operation];
    if (!before || !op || before.id !== op.id || before.state !== 'waiting' || op.state !== 'running' || before.next?.what !== 'ask')
        return newer;
    return { ...newer, operation: { ...op, state: 'waiting', next: before.next, waits_for: before.waits_for } };
}

// An orderly eject (alone, or as the first part of an insert) that waits for the host.
export function canForce(drive) {
    const op = drive.operation;
    return Boolean(op && op.state === 'waiting' && drive.medium && op.mode !== 'forced' && drive.capabilities.forced_eject);
}

export function canCancel(op) {
    return op.state === 'queued' || op.state === 'waiting';
}

function refusedInUse(op) {
    const e = op.evidence;
    if (e?.lock === 'locked') return 'refused: the host keeps the medium locked';
    if (e?.last_write_at) return 'refused: the host is writing';
    return 'refused: the host is using the medium';
}

const FAILURES = {
    medium_in_use: refusedInUse,
    stale_host: () => 'refused: the host may still hold data for the medium before',
    quarantine: () => 'refused: the drive must stay empty for now',
    medium_differs: () => 'refused: the same image is in, but writable instead of read-only or the other way round',
    earlier_operation_failed: () => 'not begun: an operation before it failed',
    forced_eject_unavailable: () => 'refused: this kernel cannot force an eject',
    collateral_in_use: () => 'refused: another drive would be disturbed',
    reattach_not_allowed: () => 'refused: the configuration forbids a reattach',
    drive_stuck: () => 'failed: the drive does not answer',
    gadget_detached: () => 'failed: no USB port controller is attached',
    image_missing: () => 'failed: the image is not there',
    image_in_use: () => 'refused: the image is in another drive',
    image_too_large_for_cdrom: () => 'refused: the image is too large for a CD drive',
    image_too_small_for_cdrom: () => 'refused: the image is too small for a CD drive',
    precondition_failed: () => 'refused: the drive held another medium than expected',
    interrupted: () => 'interrupted: the service was restarted meanwhile',
};

function done(op) {
    const parts = [];
    if (op.unchanged) {
        parts.push(op.action === 'insert' ? 'nothing to do: it was in already' : 'nothing to do: the drive was empty');
    } else if (op.action === 'eject') {
        if (op.lock_overridden) parts.push(`ejected${op.forced ? ' by force' : ''}: the host's lock was overridden`);
        else parts.push(op.forced ? 'ejected by force' : 'ejected');
    } else if (op.action === 'insert') {
        parts.push('inserted');
        if (op.forced) parts.push(`the medium before was ejected by force${op.lock_overridden ? ', against the host\'s lock' : ''}`);
    } else {
        parts.push('done');
    }
    if (op.reattached && op.action !== 'reattach') parts.push('the USB device was reattached');
    if (op.storage_cut) parts.push('the storage under it hung, and was cut');
    if (op.raced_with_write) parts.push('the host was still writing, so the image may be damaged');
    if (op.stale_host) parts.push('the host may still hold data for it');
    if (op.durable === false) parts.push('the image may not have reached the disk');
    if (op.taken?.unclean) parts.push('the image is marked unclean');
    return parts.join('; ');
}

// {text, tone} of an operation, finished or not.
export function outcome(op) {
    if (op.state === 'done') {
        const unsafe = op.raced_with_write || op.durable === false || op.taken?.unclean;
        return { text: done(op), tone: unsafe ? 'warn' : op.unchanged ? 'idle' : 'good' };
    }
    if (op.state === 'cancelled') return { text: 'cancelled', tone: 'idle' };
    if (op.state === 'failed') {
        const words = FAILURES[op.code];
        const emptied = op.action === 'insert' && op.emptied_at ? '; the drive was left empty' : '';
        return { text: (words ? words(op) : `failed: ${op.detail ?? op.code}`) + emptied, tone: 'bad' };
    }
    return { text: op.state === 'queued' ? 'waits for its turn' : 'under way', tone: 'busy' };
}

const RUNGS = {
    nothing: 'Waited', open: 'Opened the image', insert: 'Inserted it', ask: 'Asked for the medium',
    force: 'Used the pinhole', swap: 'Swapped the images in place', observe: 'Looked at the drive',
    reattach: 'Reattached the USB device', sync: 'Brought the image to the disk', signal: 'Interrupted the kernel thread, and asked',
    break: "Interrupted the host's command", cut: 'Cut the storage that hung', quiesce: 'Waited for the host to stop writing', gap: 'Waited for a quiet moment',
    dwell: 'Left the drive empty', quarantine: 'Kept the drive empty',
};
const STEP_OUTCOMES = { done: 'done', busy: 'the host holds on to it' };

export function step(s) {
    const parts = [s.outcome === null ? 'under way' : STEP_OUTCOMES[s.outcome] ?? s.outcome.replaceAll('_', ' ')];
    if (s.duration !== null) parts.push(s.duration < 1 ? `${Math.round(s.duration * 1000)} ms` : duration(s.duration));
    if (s.detail) parts.push(s.detail);
    const touched = s.collateral ? [...s.collateral.drives, ...s.collateral.functions].map(quoted) : [];
    if (touched.length) parts.push(`${s.collateral.disconnect ? 'disconnected' : 'touched'} ${touched.join(', ')} too`);
    return `${RUNGS[s.rung] ?? s.rung}: ${parts.join(', ')}`;
}

// An operation that failed after its request was answered, as the problem that the answer would have been.
export function problemOf(op) {
    const text = outcome(op).text;
    return {
        title: text[0].toUpperCase() + text.slice(1), detail: op.detail ?? '', remedy: '', code: op.code,
        evidence: op.evidence, operation: op.id, drive: op.drive,
    };
}

// ---- the whole -----------------------------------------------------------------------------------------------------

// What everybody must know before anything else. `link` is 'connecting', 'open' or 'lost'; {key, tone, text, order},
// where order is what to do to the gadget, as a button.
export function banners(link, system) {
    if (link === 'lost')
        return [{ key: 'lost', tone: 'bad', text: 'Connection lost, trying again… What you see may be old.' }];
    if (!system) return [];
    const g = system.gadget;
    if (!g) return [{ key: 'gadget', tone: 'bad', text: 'trayd-gadget, which owns the drives, cannot be reached. '
        + 'The host keeps its media meanwhile; what you see of the drives may be old.' }];
    const list = [];
    if (g.error) list.push({ key: 'error', tone: 'bad', text: `The USB device could not be set up: ${g.error}` });
    if (g.differences)
        list.push({ key: 'differs', tone: 'warn', text: `The USB device is not as configured: ${g.differences.trim().split('\n').join('; ')}` });
    if (!g.bound && !g.error) {
        const why = g.udc ? 'It is detached.' : 'No USB device controller is there yet; it is attached as soon as one appears.';
        list.push({ key: 'unbound', tone: 'warn', text: `No host can see the drives. ${why}`, order: g.udc ? 'attach' : null });
    }
    if (g.host_dropped)
        list.push({ key: 'dropped', tone: 'warn', order: 'reattach', text: 'The host has most likely given up the USB device, keyboard and '
            + 'mouse too: storage hung while the host was connecting. Once the storage answers, a reattach brings it back.' });
    return list;
}

function hostFact(g) {
    if (g.host_dropped) return 'given up by the host';
    if (g.state !== 'configured') return `host: ${g.state ?? 'unknown'}`;
    return g.speed ? `host connected, ${speedName(g.speed)}` : 'host connected';
}

export function systemFacts(system) {
    const g = system?.gadget;
    if (!system) return [];
    const facts = [];
    if (g?.bound) {
        facts.push(`Attached to ${g.udc ?? 'a controller'}`);
        facts.push(hostFact(g));
    } else {
        facts.push(g ? 'Detached' : 'trayd-gadget unreachable');
    }
    if (g?.reattaching) facts.push('reattaching');
    if (g?.engine === 'simulation') facts.push('simulated host');
    facts.push(`trayd ${system.version}`);
    if (g && g.version !== system.version) facts.push(`trayd-gadget ${g.version}`);
    facts.push(`Linux ${system.kernel}`);
    return facts;
}
