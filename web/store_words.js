// What is said about stores, and about taking one away. Pure.

import { bytes } from './units.js';
import { quoted } from './words.js';

const STEPS = {
    eject: 'ejecting its images', transfers: 'waiting for transfers to end', sync: 'writing what is unwritten',
    unmount: 'unmounting it', check: 'looking whether the device is free', mount: 'mounting it again',
};
export const STEP_ORDER = ['eject', 'transfers', 'sync', 'unmount', 'check'];

export const isLeaving = store => Boolean(store.detached) && store.detached.step !== 'done' && store.detached.step !== 'mount';
export const isAway = store => store.detached?.step === 'done';
// Until then it can be told to stay.
export const canStay = store => ['eject', 'transfers'].includes(store.detached?.step);

// The line beside its name: {text, tone}.
export function storeState(store) {
    const { detached } = store;
    if (!detached)
        return store.attached ? { text: `${bytes(Math.max(store.free - store.reserve, 0))} free of ${bytes(store.size)}${store.readonly ? ', read-only' : ''}` }
            : { text: 'not there', tone: 'warn' };
    if (detached.step === 'mount') return { text: 'being mounted again…' };
    if (detached.step !== 'done') return { text: `being detached: ${STEPS[detached.step] ?? detached.step}…` };
    if (detached.safe_to_remove) return { text: 'safe to remove', tone: 'good' };
    return { text: 'detached; what was written is on it, but it is still mounted', tone: 'warn' };
}

// What stands in the place of a list of images that is empty. `how`: what one can do about it.
export function noImages(stores, searched, how) {
    const away = stores.filter(store => !store.attached).map(store => quoted(store.name));
    if (searched) return 'No image has that in its name or note.';
    if (!away.length) return `There are no images yet. ${how}`;
    if (away.length === stores.length) return `There is nothing to show: no store is attached (${away.join(', ')}).`;
    return `There are no images in the stores that are attached; ${away.join(', ')} ${away.length > 1 ? 'are' : 'is'} not.`;
}

// How far it is, 0 to 1, for a progress bar; null where there is nothing to show.
export function storeProgress(store) {
    const at = isLeaving(store) ? STEP_ORDER.indexOf(store.detached.step) : -1;
    return at < 0 ? null : at / STEP_ORDER.length;
}

// The problem of the last attempt, while it stands.
export function storeProblem(store) {
    const failed = store.detach_failed;
    if (!failed || isLeaving(store)) return null;
    return {
        code: failed.code, drive: failed.drive, detail: failed.detail,
        title: failed.step === 'mount' ? `${store.name} could not be mounted again`
            : `${store.name} was not detached: ${STEPS[failed.step] ?? failed.step} failed`,
        remedy: store.detached ? '' : 'It is attached as before.',
    };
}

const isOf = (ref, store) => ref === store.name || ref?.startsWith(`${store.name}/`);

// What taking it away will do, before it is done.
export function detachEffects(store, drives, transfers) {
    const list = [];
    for (const drive of drives)
        if (drive.medium && isOf(drive.medium.store, store))
            list.push({ text: `${quoted(drive.medium.image)} is ejected from ${drive.name}.`, tone: drive.medium.readonly ? undefined : 'warn' });
    const under_way = transfers.filter(t => isOf(t.store, store) && t.state === 'running');
    for (const t of under_way) list.push(`The transfer of ${quoted(t.name ?? 'an image')} has to end first.`);
    if (list.length === 0) list.push('No drive and no transfer uses it now.');
    list.push('Nothing can be put in from it, or stored in it, until it is attached again.');
    return list;
}

// How the same thing is asked for again, differently: [{label, note, danger, change}].
export function detachRemedies(code) {
    switch (code) {
    case 'medium_in_use': return [
        { label: 'Wait longer', change: { patience: 300 }, note: 'Up to five minutes.' },
        { label: 'Use force', danger: true, change: { mode: 'forced' }, note: 'The media come out whatever the host is doing with them.' },
    ];
    case 'store_in_use': return [{ label: 'Try again', change: {} },
        { label: 'Cancel transfers', danger: true, change: { transfers: 'cancel' }, note: 'What is being sent in pieces can go on later.' }];
    case 'unmount_unavailable': return [{ label: 'Without unmounting', change: { unmount: false }, note: 'Then it is not safe to pull out before somebody unmounts it.' }];
    case 'collateral_in_use': return [{
        label: 'Disturb the other drive', danger: true, change: { allow_collateral: true }, note: 'What its host has not written yet may be lost.',
    }];
    default: return [];
    }
}
