// Images that nobody uploads: the dialogs that fetch one from a URL, or begin with a blank one; and the form that they share
// with the dialog that makes a disc.

import * as api from './api.js';
import { el, newId, setAttribute, setText, show } from './dom.js';
import { announce } from './live.js';
import { imageName, isPacked } from './packed.js';
import { problemPlace } from './problem.js';

const DIGEST = /^[0-9a-f]{64}$/i;
const UNITS = { MB: 1e6, GB: 1e9, MiB: 2 ** 20, GiB: 2 ** 30 };
const SECTOR = 512;

export function field(label, control, note) {
    return el('label', { class: 'field grow' }, el('span', {}, label), control, note ?? null);
}

export const text = attributes => el('input', { type: 'text', autocomplete: 'off', spellcheck: 'false', ...attributes });

// A dialog with a form in it. check(): a problem that is seen here already, or null; send(): does it; done(answer): what to
// say then.
export function createForm(title, yes, fields, { check = () => null, send, done, made, opened }) {
    const heading = newId('make');
    const problem = problemPlace();
    const submit = el('button', { type: 'submit', class: 'primary' }, yes);
    const form = el('form', { class: 'make', onsubmit: submitted },
        el('h2', { id: heading }, title), ...fields, problem.node,
        el('div', { class: 'dialog-buttons' },
            el('button', { type: 'button', class: 'quiet', onclick: () => dialog.close() }, 'Cancel'), submit));
    const dialog = el('dialog', { 'aria-labelledby': heading }, form);
    document.body.append(dialog);

    async function submitted(event) {
        event.preventDefault();
        if (submit.disabled) return;
        problem.clear();
        const wrong = check();
        if (wrong) {
            problem.show(wrong);
            return;
        }
        submit.disabled = true;
        try {
            const answer = await send();
            dialog.close();
            announce(done(answer));
            made();
        } catch (e) {
            if (!(e instanceof api.Problem)) throw e;
            problem.show(e.doc);
        } finally {
            submit.disabled = false;
        }
    }

    return () => {
        form.reset();
        problem.clear();
        dialog.showModal();
        opened();
    };
}

// The path's last part, as the appliance will take it; '' where there is none.
function nameIn(url) {
    try {
        return decodeURIComponent(new URL(url).pathname.split('/').pop());
    } catch {
        return '';
    }
}

function createFromUrl(use) {
    const url = text({ type: 'url', name: 'url', required: true, placeholder: 'https://', oninput: render });
    const name = text({ name: 'name' });
    const digest = text({ name: 'sha256', placeholder: '64 digits, or https://…' });
    const unpack = el('input', { type: 'checkbox', role: 'switch', name: 'unpack', onchange: render });
    const unpackRow = el('label', { class: 'switch', hidden: true }, unpack, el('span', {}, 'Unpack it'));
    const username = text({ name: 'username' });
    const password = el('input', { type: 'password', name: 'password', autocomplete: 'off' });
    const who = el('details', {}, el('summary', {}, 'User and password'),
        el('div', { class: 'fields' }, field('User', username), field('Password', password)));

    function render(event) {
        const last = nameIn(url.value);
        const packed = isPacked(last);
        if (event?.target === url) unpack.checked = packed;
        show(unpackRow, packed);
        setAttribute(name, 'placeholder', unpack.checked ? imageName(last) : last);
        name.required = url.value !== '' && last === '';
    }

    return createForm('Fetch an image', 'Fetch', [
        el('div', { class: 'fields' }, field('Address', url)),
        el('div', { class: 'fields' }, field('Name', name), field('SHA-256', digest)),
        unpackRow, who,
    ], {
        send() {
            const wanted = { from: 'url', url: url.value.trim(), store: use.store() };
            if (name.value) wanted.name = name.value.normalize('NFC');
            if (digest.value) wanted[DIGEST.test(digest.value.trim()) ? 'sha256' : 'sha256_url'] = digest.value.trim();
            if (!unpackRow.hidden) wanted.unpack = unpack.checked;
            if (username.value) wanted.username = username.value;
            if (password.value) wanted.password = password.value;
            return api.makeImage(wanted);
        },
        done: answer => (answer.state ? `${answer.name} is being fetched` : `${answer.name} is there already`),
        made: use.made,
        opened() {
            who.open = false;
            render();
            url.focus();
        },
    });
}

function createBlank(use) {
    const name = text({ name: 'name', required: true, placeholder: 'stick.img' });
    const size = el('input', { type: 'number', name: 'size', min: '0.001', step: 'any', value: '4', required: true });
    const unit = el('select', { name: 'unit', 'aria-label': 'Unit' }, ...Object.keys(UNITS).map(u => el('option', { value: u, selected: u === 'GiB' }, u)));
    const filesystem = el('select', { name: 'filesystem', onchange: render },
        el('option', { value: 'fat32' }, 'FAT32 (for every host)'),
        el('option', { value: 'exfat' }, 'exFAT (for large files)'),
        el('option', { value: 'none' }, 'none'));
    const label = text({ name: 'label', maxlength: 11 });
    const labelField = field('Label', label);
    const note = el('p', { class: 'note' });

    function render() {
        show(labelField, filesystem.value !== 'none');
        setText(note, 'It takes room in the store only as the host writes to it.');
    }

    return createForm('Make a blank image', 'Make it', [
        el('div', { class: 'fields' }, field('Name', name)),
        el('div', { class: 'fields' }, field('Size', el('span', { class: 'size' }, size, unit)), field('File system', filesystem)),
        el('div', { class: 'fields' }, labelField), note,
    ], {
        send: () => api.makeImage({
            from: 'blank', name: name.value.normalize('NFC'), store: use.store(), filesystem: filesystem.value,
            size: Math.round(Number(size.value) * UNITS[unit.value] / SECTOR) * SECTOR,
            label: filesystem.value === 'none' ? undefined : label.value || undefined,
        }),
        done: image => `${image.name} is made`,
        made: use.made,
        opened() {
            render();
            name.focus();
        },
    });
}

// use: store() where to, or undefined for the default; made() when something has begun.
export function createMakers(section, use) {
    section.querySelector('.from-url').addEventListener('click', createFromUrl(use));
    section.querySelector('.blank').addEventListener('click', createBlank(use));
}
