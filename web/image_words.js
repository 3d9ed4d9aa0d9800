// What is said about images, and whether one fits into a drive. Pure.

import { bytes, clockTime } from './units.js';
import { kind, quoted, visible } from './words.js';

const SUGGESTED = { cdrom: 'CD or DVD image', disk: 'disk image' };

// The default store goes without saying.
export function imageFacts(image, now, defaultStore) {
    if (!image.complete) return ['being received', ...(image.size === null ? [] : [`${bytes(image.size)} in all`])];
    const facts = [bytes(image.size)];
    if (image.suggested_type) facts.push(SUGGESTED[image.suggested_type]);
    if (image.readonly) facts.push('read-only');
    if (image.modified) facts.push(clockTime(image.modified, now));
    if (image.store !== defaultStore) facts.push(`in ${quoted(image.store)}`);
    return facts;
}

const ROBBED = {
    forced: 'It was taken by force from a host that had written to it: what the host had not written yet is missing.',
    raced_with_write: 'It was taken while the host wrote to it: the last of that may be missing.',
    not_durable: 'What a host wrote to it may not have reached the storage.',
};

// Why an image should not be relied on as it is, and what to do; null where nobody says so.
export function uncleanText(image, now) {
    const mark = image.unclean;
    if (!mark) return null;
    const how = ROBBED[mark.reason] ?? 'A host that had written to it has lost it.';
    const system = mark.filesystem_dirty === null ? 'Have a host check its file system before you rely on it.'
        : mark.filesystem_dirty ? 'Its file system was not closed: have a host check it, as with chkdsk or fsck.'
            : 'Its file system is closed by now, which says nothing of files that were being written.';
    return `Unclean since ${clockTime(mark.at, now)} (${visible(mark.by)}): ${how} ${system}`;
}

// A medium, or an operation that inserts one, that is this image.
function isOf(image, thing) {
    return Boolean(thing) && thing.image === image.name && thing.store === image.store;
}

function comesInto(image, drive) {
    return [drive.operation, ...drive.queue].some(op => op?.action === 'insert' && isOf(image, op));
}

// The names of the drives that have it, or are about to.
export function usedBy(image, drives) {
    return drives.filter(drive => isOf(image, drive.medium) || comesInto(image, drive)).map(drive => drive.name);
}

// Can it go into this drive? {ok, tone, text}; text is null where there is nothing to say.
export function fit(image, drive, drives) {
    const no = text => ({ ok: false, tone: 'bad', text });
    const hint = text => ({ ok: true, tone: 'warn', text });
    if (!image.complete) return no('It is still being received.');
    if (isOf(image, drive.medium)) return no(`It is in ${drive.name} already.`);
    const most = drive.capabilities.max_cdrom_bytes;
    if (drive.type === 'cdrom' && most && image.size > most)
        return no(`It is too large for a CD drive, which takes ${bytes(most)} on this kernel. Use a USB stick: `
            + 'hybrid ISO images boot from there as well.');
    const writer = drives.find(other => other !== drive && isOf(image, other.medium) && !other.medium.readonly);
    if (writer) return no(`It is in ${writer.name}, where the host may write to it.`);
    if (image.suggested_type === 'disk' && drive.type === 'cdrom')
        return hint(`This looks like a disk image. In a ${kind('cdrom')} the host will hardly find anything on it.`);
    if (image.suggested_type === 'cdrom' && drive.type === 'disk')
        return { ok: true, tone: null, text: 'A CD image: as a stick it boots only if it is a hybrid one.' };
    return { ok: true, tone: null, text: null };
}

// Should it go in read-only? {value, fixed: why it cannot be chosen, or null}
export function readonlyDefault(image, drive) {
    if (drive.type === 'cdrom') return { value: true, fixed: 'A CD is always read-only.' };
    if (image?.readonly) return { value: true, fixed: 'The image is marked read-only.' };
    return { value: drive.stale_host || image?.suggested_type === 'cdrom', fixed: null };
}
