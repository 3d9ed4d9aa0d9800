// The dialog that puts an image into a drive.

import * as api from './api.js';
import { now } from './clock.js';
import { el, keyedList, newId, sentences, setAttribute, setText, show } from './dom.js';
import { fit, imageFacts, readonlyDefault, uncleanText } from './image_words.js';
import { keyOf } from './images.js';
import { noImages } from './store_words.js';
import { kind, quoted, visible } from './words.js';

const LIMIT = 50; // more are found by searching
const TYPING = 200; // ms

function createChoice(image, group, chosen) {
    const radio = el('input', { type: 'radio', name: group, onchange: () => chosen(image) });
    const facts = el('span', { class: 'facts' });
    const why = el('span', { class: 'note' });
    return {
        node: el('li', {}, el('label', { class: 'choice' }, radio,
            el('span', {}, el('bdi', { class: 'image-name' }, visible(image.name)), ' ', facts, ' ', why))),
        update(item) {
            setText(facts, imageFacts(item.image, now(), item.defaultStore).join(' · '));
            setText(why, item.fit.text ?? '');
            show(why, item.fit.text);
            setAttribute(why, 'data-tone', item.fit.tone);
            radio.disabled = !item.fit.ok;
            radio.checked = item.checked;
        },
    };
}

// use: drives() all drives, get(name), insert(drive, body), stores().
export function createInsertDialog(use) {
    let images = [];
    let more = false;
    let image = null;
    let readonlyChosen = null; // what the person said, null while nothing
    let timer = null;
    let request = null;

    const heading = newId('insert');
    const driveSelect = el('select', { name: 'drive', onchange: () => { readonlyChosen = null; render(); } });
    const search = el('input', { type: 'search', name: 'search', autocomplete: 'off', spellcheck: 'false', oninput: () => {
        clearTimeout(timer);
        timer = setTimeout(load, TYPING);
    } });
    const list = el('ul', { class: 'choices' });
    const none = el('p', { class: 'none', hidden: true });
    const readonly = el('input', { type: 'checkbox', role: 'switch', name: 'readonly', onchange: () => {
        readonlyChosen = readonly.checked;
        render();
    } });
    const readonlyNote = el('span', { class: 'note' });
    const notes = el('ul', { class: 'sentences warnings' });
    const submit = el('button', { type: 'submit', class: 'primary' }, 'Insert');
    const form = el('form', { onsubmit: submitted },
        el('h2', { id: heading }, 'Insert an image'),
        el('div', { class: 'fields' },
            el('label', { class: 'field' }, el('span', {}, 'Drive'), driveSelect),
            el('label', { class: 'field grow' }, el('span', {}, 'Search'), search)),
        el('fieldset', {}, el('legend', {}, 'Image'), list, none),
        el('label', { class: 'switch' }, readonly, el('span', {}, 'Read-only ', readonlyNote)),
        notes,
        el('div', { class: 'dialog-buttons' },
            el('button', { type: 'button', class: 'quiet', onclick: () => dialog.close() }, 'Cancel'), submit));
    const dialog = el('dialog', { class: 'insert', 'aria-labelledby': heading, onclose: () => request?.abort() }, form);
    const group = newId('image');
    const showNotes = sentences(notes);
    const showChoices = keyedList(list, item => keyOf(item.image), item => createChoice(item.image, group, chosen => {
        image = chosen;
        readonlyChosen = null;
        render();
    }));
    const showDrives = keyedList(driveSelect, drive => drive.name, drive => ({
        node: el('option', { value: drive.name }, `${drive.name} (${kind(drive.type)})`),
    }));
    document.body.append(dialog);

    const drive = () => use.get(driveSelect.value);

    function notesAbout(d, isReadonly) {
        const list = [];
        if (d.medium) list.push(`${quoted(d.medium.image)} is ejected first, if the host lets it go. The drive then stays empty `
            + 'for a moment, so that the host notices.');
        if (d.stale_host && !isReadonly) list.push({ tone: 'warn', text: 'The host may still hold data for the medium before, '
            + 'and could write it into this one. Read-only is safe.' });
        if (image?.unclean) list.push({ tone: 'warn', text: uncleanText(image, now()) });
        return list;
    }

    function render() {
        if (!dialog.open) return;
        showDrives(use.drives());
        const d = drive();
        if (!d) return;
        const fits = images.map(item => fit(item, d, use.drives()));
        const at = image ? images.findIndex(item => keyOf(item) === keyOf(image)) : -1;
        const usable = at >= 0 && fits[at].ok;
        const defaults = readonlyDefault(image, d);
        showChoices(images.map((item, i) => ({ image: item, fit: fits[i], checked: i === at && fits[i].ok, defaultStore: use.stores()[0]?.name })));
        show(none, images.length === 0 || more);
        setText(none, images.length ? 'There are more: search for a part of the name.'
            : noImages(use.stores(), search.value, 'Upload one first.'));
        readonly.disabled = defaults.fixed !== null;
        readonly.checked = defaults.fixed !== null || readonlyChosen === null ? defaults.value : readonlyChosen;
        setText(readonlyNote, defaults.fixed ?? (readonly.checked ? 'The host cannot change the image.' : 'The host may change the image.'));
        showNotes(notesAbout(d, readonly.checked));
        submit.disabled = !usable;
    }

    async function load() {
        request?.abort();
        const mine = request = new AbortController();
        try {
            const page = await api.images({ q: search.value, limit: LIMIT }, mine.signal);
            images = page.images;
            more = page.next !== null;
            // What was chosen on the page stays on top, wherever the alphabet has it.
            if (image && !search.value && !images.some(item => keyOf(item) === keyOf(image))) images.unshift(image);
            render();
        } catch (e) {
            if (e instanceof api.Problem) {
                images = [];
                render();
                setText(none, e.doc.title);
            } else if (e.name !== 'AbortError') {
                throw e;
            }
        }
    }

    function submitted(event) {
        event.preventDefault();
        const d = drive();
        if (!d || !image || submit.disabled) return;
        const body = { image: image.name, store: image.store };
        if (d.type === 'disk') body.readonly = readonly.checked;
        dialog.close();
        use.insert(d, body);
    }

    return {
        render,
        // Begins with this drive, or with the first that suits this image.
        open({ forDrive = null, forImage = null }) {
            image = forImage;
            images = forImage ? [forImage] : [];
            more = false;
            readonlyChosen = null;
            search.value = '';
            showDrives(use.drives());
            const suits = (d, tone) => fit(forImage, d, use.drives()).ok && (!tone || !fit(forImage, d, use.drives()).text);
            const first = forDrive ?? (forImage && (use.drives().find(d => suits(d, true) && !d.medium)
                ?? use.drives().find(d => suits(d, true)) ?? use.drives().find(d => suits(d, false)))) ?? use.drives()[0];
            if (first) driveSelect.value = first.name;
            dialog.showModal();
            (forImage ? submit : search).focus();
            render();
            load();
        },
    };
}
