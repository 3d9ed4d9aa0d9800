// The list of images: search, sort, and what can be done with each.

import * as api from './api.js';
import { now } from './clock.js';
import { confirm } from './confirm.js';
import { el, isOff, keyedList, setAttribute, setOff, setText, show } from './dom.js';
import { filesPart } from './files.js';
import { imageFacts, uncleanText, usedBy } from './image_words.js';
import { announce } from './live.js';
import { problemPlace } from './problem.js';
import { noImages } from './store_words.js';
import { exactBytes } from './units.js';
import { quoted, visible } from './words.js';

const PAGE = 50;
const TYPING = 250; // ms without a key before a search begins
const SETTLE = 300; // ms in which news about images are gathered into one question

export const keyOf = image => JSON.stringify([image.store, image.name]);

function digestPart() {
    const digest = el('code');
    const copy = el('button', {
        type: 'button', class: 'quiet',
        async onclick() {
            try {
                await navigator.clipboard.writeText(digest.textContent);
                setText(copy, 'Copied');
            } catch {
                getSelection().selectAllChildren(digest);
                setText(copy, 'Selected');
            }
        },
    }, 'Copy');
    const node = el('details', { class: 'digest' }, el('summary', {}, 'SHA-256'), el('p', {}, digest, ' ', copy));
    return {
        node,
        update(image) {
            show(node, image.complete);
            setText(digest, image.sha256 ?? 'not known: the file was not uploaded here');
            show(copy, image.sha256);
        },
    };
}

function createRow(first, use) {
    let image = first;
    const name = el('bdi', { class: 'image-name' });
    const facts = el('span', { class: 'facts' });
    const note = el('p', { class: 'image-note' });
    const uncleanWords = el('span', {});
    const seenTo = el('button', { type: 'button', class: 'quiet', onclick: () => use.acknowledge(image) },
        'I have seen to it');
    const unclean = el('p', { class: 'note', 'data-tone': 'warn' }, uncleanWords, ' ', seenTo);
    const used = el('span', { class: 'used' });
    const progress = el('progress', { 'aria-label': 'Received' });
    const digest = digestPart();
    const files = filesPart();
    const insert = el('button', { type: 'button', onclick: () => use.insert(image) }, 'Insert…');
    const edit = el('button', { type: 'button', class: 'quiet', onclick: () => use.edit(image) }, 'Edit…');
    const download = el('a', { class: 'button quiet', download: '' }, 'Download');
    const remove = el('button', { type: 'button', class: 'quiet', onclick: () => { if (!isOff(remove)) use.remove(image); } }, 'Delete…');
    const buttons = el('div', { class: 'buttons' }, insert, edit, download, remove);
    const node = el('li', { class: 'image', 'data-image': first.name },
        el('div', { class: 'image-words' }, el('span', {}, name, ' ', used), facts, unclean, note, progress, digest.node, files.node),
        buttons);
    return {
        node,
        update(newer) {
            image = newer;
            const drives = usedBy(image, use.drives());
            setText(name, visible(image.name));
            setText(facts, imageFacts(image, now(), use.defaultStore()).join(' · '));
            setAttribute(facts, 'title', image.size === null ? null : exactBytes(image.size));
            setText(used, drives.length ? `in ${drives.join(', ')}` : '');
            show(used, drives.length);
            show(progress, !image.complete);
            if (image.received !== first.received && image.size > 0) { // we are being told how it goes on
                setAttribute(progress, 'max', image.size);
                setAttribute(progress, 'value', image.received);
            }
            show(insert, image.complete);
            show(download, image.complete);
            show(edit, image.complete);
            setText(note, (image.note ?? '').split('\n').map(visible).join('\n'));
            show(note, image.note);
            setText(uncleanWords, uncleanText(image, now()) ?? '');
            show(unclean, image.unclean);
            setAttribute(seenTo, 'aria-label', `I have seen to ${image.name}`);
            setText(remove, image.complete ? 'Delete…' : 'Stop…');
            digest.update(image);
            files.update(image);
            setAttribute(download, 'href', api.contentAddress(image.name, image.store));
            setAttribute(download, 'aria-label', `Download ${image.name}`);
            setAttribute(insert, 'aria-label', `Insert ${image.name}…`);
            setAttribute(edit, 'aria-label', `Edit ${image.name}…`);
            setAttribute(remove, 'aria-label', `${image.complete ? 'Delete' : 'Stop receiving'} ${image.name}…`);
            setOff(remove, drives.length ? `It is in ${drives.join(', ')}: eject it first` : null);
        },
    };
}

// use: drives() the drives, insert(image) and edit(image) open dialogs, stores() the stores, isUploading(image): it is shown
// among the uploads.
export function createImages(section, use) {
    let items = [];
    let next = null;
    let asked = 0;    // of several questions only the answer to the newest counts
    let answered = 0;
    let timer = null;
    const search = section.querySelector('.search');
    const sort = section.querySelector('.sort');
    const none = section.querySelector('.none');
    const more = section.querySelector('.more');
    const problem = problemPlace();
    section.querySelector('.images').before(problem.node);
    const update = keyedList(section.querySelector('.images'), keyOf, image => createRow(image, {
        ...use, remove, acknowledge, defaultStore: () => use.stores()[0]?.name,
    }));

    function render() {
        update(items.filter(image => image.complete || !use.isUploading(image)));
        show(none, items.length === 0);
        setText(none, noImages(use.stores(), search.value, 'Upload one, or drop it here.'));
        show(more, next);
    }

    async function load(after) {
        const number = ++asked;
        const limit = after ? PAGE : Math.min(Math.max(items.length, PAGE), 1000);
        try {
            const page = await api.images({ q: search.value, sort: sort.value, limit, after });
            if (number !== asked) return;
            answered = number;
            items = after ? [...items, ...page.images] : page.images;
            next = page.next;
            render();
        } catch (e) {
            if (!(e instanceof api.Problem)) throw e;
            if (e.doc.code !== 'unreachable') problem.show(e.doc);
        }
    }

    function loadSoon(delay) {
        clearTimeout(timer);
        timer = setTimeout(() => load(), delay);
    }

    async function remove(image) {
        const sure = await confirm(image.complete
            ? { title: `Delete ${quoted(image.name)}?`, text: ['The image is removed from the appliance for good.'], yes: 'Delete it' }
            : { title: `Stop receiving ${quoted(image.name)}?`, text: ['Whoever uploads it has to begin again.'], yes: 'Stop it' });
        if (!sure) return;
        problem.clear();
        try {
            await api.deleteImage(image.name, image.store);
            announce(`${image.name} is deleted`);
            await load();
        } catch (e) {
            if (!(e instanceof api.Problem)) throw e;
            problem.show(e.doc);
        }
    }

    async function acknowledge(image) {
        problem.clear();
        try {
            await api.editImage(image.name, image.store, { unclean: false });
            announce(`${image.name} is no longer marked unclean`);
            await load();
        } catch (e) {
            if (!(e instanceof api.Problem)) throw e;
            problem.show(e.doc);
        }
    }

    search.addEventListener('input', () => loadSoon(TYPING));
    sort.addEventListener('change', () => load());
    more.addEventListener('click', () => load(next));
    return {
        load: () => load(),
        render,
        // From the stream. What is not on the page yet may belong there, in its place: the list is asked for again.
        set(image) {
            const isIt = item => keyOf(item) === keyOf(image);
            const old = items.find(isIt);
            if (image.deleted) items = items.filter(item => !isIt(item));
            else if (old?.complete === image.complete) items = items.map(item => (isIt(item) ? image : item));
            else loadSoon(SETTLE);
            if (answered !== asked) loadSoon(SETTLE); // the answer under way may not know this yet
            render();
        },
    };
}
