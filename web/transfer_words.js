// What is said about transfers. Pure.

import { bytes, clockTime, duration, speed } from './units.js';

const KINDS = { upload: 'upload', download: 'download', conversion: 'conversion', verify: 'check' };

function amount(t) {
    return t.size === null ? bytes(t.bytes) : `${bytes(t.bytes)} of ${bytes(t.size)}`;
}

function who(t) {
    return t.peer ? `by ${t.user} from ${t.peer}` : t.user ? `by ${t.user}` : null;
}

export const transferKind = t => KINDS[t.kind] ?? t.kind;

// One line of facts.
export function transferFacts(t, now) {
    const facts = [];
    if (t.cancelling) {
        facts.push('is being cancelled');
    } else if (t.state === 'paused') {
        facts.push(`paused at ${amount(t)}`);
        if (t.method === 'tus') facts.push('choose the same file again to go on');
        if (t.expires_at) facts.push(`kept until ${clockTime(t.expires_at, now)}`);
    } else if (t.state === 'running') {
        facts.push(amount(t));
        if (t.kind === 'conversion' && t.method !== 'blank') facts.push(t.size !== null && t.bytes >= t.size ? 'being written to the disk' : 'the image is being made');
        else if (t.size !== null && t.bytes >= t.size) facts.push('being written to the disk and checked');
        else if (t.speed > 0) facts.push(speed(t.speed));
        if (t.remaining > 0) facts.push(`${duration(t.remaining)} left`);
    }
    if (t.source) facts.push(t.source);
    return [...facts, who(t)].filter(Boolean);
}

// The problem of one that failed.
export function transferProblem(t) {
    return {
        code: t.code, title: `The ${transferKind(t)} of ${t.name ?? 'an image'} failed`, detail: t.detail ?? '', remedy: '',
    };
}

// What a person wants to see: what is under way, and what failed for another reason than that its client left.
export function isShown(t) {
    return t.state === 'running' || t.state === 'paused' || (t.state === 'failed' && t.code !== 'aborted');
}
