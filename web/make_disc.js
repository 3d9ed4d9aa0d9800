// The dialog that makes a disc: files and folders become a CD or a stick. The browser puts them into one ZIP archive on its
// way out, and the appliance makes the image of that.

import { el, setText, show } from './dom.js';
import { asDisc, fromDrop, fromInput } from './gather.js';
import { createForm, field, text } from './make.js';
import { bytes } from './units.js';
import { zip } from './zip.js';

const KINDS = {
    iso9660: { words: 'CD or DVD (ISO 9660)', ending: '.iso', label: 16 },
    fat32: { words: 'USB stick (FAT32)', ending: '.img', label: 11 },
};

function picker(words, attributes, chosen) {
    const input = el('input', { type: 'file', multiple: true, ...attributes });
    input.addEventListener('change', () => {
        chosen(fromInput(input.files));
        input.value = '';
    });
    return el('label', { class: 'button file' }, words, input);
}

// use: store(), send(job) for the queue of uploads.
export function createDiscMaker(use) {
    let chosen = [];
    let named = null; // the name of the one folder that was chosen
    const kind = el('select', { name: 'kind', onchange: render }, ...Object.entries(KINDS).map(([value, k]) => el('option', { value }, k.words)));
    const name = text({ name: 'name' });
    const label = text({ name: 'label', placeholder: 'FILES', pattern: '[A-Za-z0-9_\\-][A-Za-z0-9_ \\-]*' });
    const content = el('p', { class: 'facts', role: 'status' });
    const clear = el('button', { type: 'button', class: 'quiet', onclick: () => set([]) }, 'Begin again');
    const area = el('div', { class: 'drop-files' },
        el('div', { class: 'buttons' }, picker('Choose files…', { name: 'files' }, add), picker('Choose a folder…', { name: 'folder', webkitdirectory: true }, add), clear),
        content);

    function set(list) {
        ({ list: chosen, name: named } = asDisc(list));
        render();
    }

    // What has the same path takes the place of what was there.
    function add(list) {
        const known = new Map(chosen.map(entry => [(named ? `${named}/` : '') + entry.path, entry.file]));
        for (const { path, file } of list) known.set(path.normalize('NFC'), file);
        set([...known].map(([path, file]) => ({ path, file })));
    }

    function suggested() {
        return (named ?? 'files') + KINDS[kind.value].ending;
    }

    function render() {
        const files = chosen.filter(({ file }) => file);
        const size = files.reduce((sum, { file }) => sum + file.size, 0);
        setText(content, files.length ? `${files.length} file${files.length === 1 ? '' : 's'}, ${bytes(size)}` : 'Drop files and folders here, or choose them.');
        show(clear, chosen.length > 0);
        name.placeholder = suggested();
        label.maxLength = KINDS[kind.value].label;
    }

    async function send() {
        const total = chosen.reduce((sum, { file }) => sum + (file?.size ?? 0), 0);
        let read = 0;
        const file = await zip(chosen, {
            told(count) {
                read += count;
                setText(content, `Being read: ${bytes(read)} of ${bytes(total)}`);
            },
        });
        const job = { file, name: (name.value || suggested()).normalize('NFC'), store: use.store(), make: kind.value, label: label.value || undefined };
        job.mark = `${job.make}/${job.name}/${file.size}/${chosen.length}`;
        use.send(job);
        return job;
    }

    const open = createForm('Make a disc', 'Make it', [
        area, el('div', { class: 'fields' }, field('It is a', kind)),
        el('div', { class: 'fields' }, field('Name', name), field('Label', label)),
    ], {
        check: () => (chosen.length ? null : { title: 'There are no files yet', detail: 'Drop some here, or choose them.' }),
        send,
        done: job => `${job.name} is being sent`,
        made() {},
        opened() {
            set([]);
            area.querySelector('input').focus();
        },
    });

    // Anywhere in the dialog; behind it a drop would be an upload.
    const dialog = area.closest('dialog');
    const mark = on => area.classList.toggle('is-over', on);
    dialog.addEventListener('dragover', () => mark(true));
    dialog.addEventListener('dragleave', event => { if (!dialog.contains(event.relatedTarget)) mark(false); });
    dialog.addEventListener('drop', async event => {
        event.preventDefault();
        event.stopPropagation();
        mark(false);
        add(await fromDrop(event.dataTransfer.items));
    });
    return open;
}
