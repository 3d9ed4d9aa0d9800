// What is said about stores and their detaching.
import assert from 'node:assert/strict';
import test from 'node:test';

globalThis.document = { baseURI: 'http://kvm/' };
const words = await import('../../web/store_words.js');

const plain = text => text.replace(/[\u2068\u2069]/g, '');
const STORE = {
    name: 'stick', path: '/srv/stick', readonly: false, attached: true, size: 2e9, free: 1e9, reserve: 0, detached: null, detach_failed: null,
};
const away = (step, more = {}) => ({
    ...STORE, attached: false, size: null, free: null,
    detached: { step, since: null, by: 'admin', unmounted: false, safe_to_remove: false, ...more },
});

test('the line of a store', () => {
    const text = store => words.storeState(store).text;
    assert.equal(text(STORE), '1 GB free of 2 GB');
    assert.equal(text({ ...STORE, readonly: true }), '1 GB free of 2 GB, read-only');
    assert.deepEqual(words.storeState({ ...STORE, attached: false, size: null, free: null }), { text: 'not there', tone: 'warn' });
    for (const step of words.STEP_ORDER) assert.match(text(away(step)), /^being detached: .*…$/);
    assert.equal(text(away('mount')), 'being mounted again…');
    assert.match(text(away('done')), /still mounted/);
    assert.deepEqual(words.storeState(away('done', { unmounted: true, safe_to_remove: true })), { text: 'safe to remove', tone: 'good' });
});

test('no images', () => {
    const other = { ...STORE, name: 'main' }, gone = away('done'), text = (...stores) => plain(words.noImages(stores, '', 'Upload one.'));
    assert.equal(text(other), 'There are no images yet. Upload one.');
    assert.equal(text(), 'There are no images yet. Upload one.');
    assert.equal(text(gone), 'There is nothing to show: no store is attached (stick).');
    assert.equal(text(other, gone), 'There are no images in the stores that are attached; stick is not.');
    assert.match(text(other, gone, { ...gone, name: 'nas' }), /stick, nas are not\.$/);
    assert.equal(words.noImages([gone], 'arch', ''), 'No image has that in its name or note.');
});

test('how far it is, and what can be done', () => {
    const steps = words.STEP_ORDER.map(step => words.storeProgress(away(step)));
    assert.deepEqual(steps, [0, 0.2, 0.4, 0.6, 0.8]);
    assert.deepEqual([STORE, away('done'), away('mount')].map(words.storeProgress), [null, null, null]);
    assert.deepEqual(words.STEP_ORDER.map(step => words.canStay(away(step))), [true, true, false, false, false]);
    assert.deepEqual([STORE, away('done'), away('eject')].map(words.isAway), [false, true, false]);
});

test('what it will do', () => {
    const drives = [
        { name: 'cd0', medium: { image: 'a.iso', store: 'stick/sub', readonly: true } },
        { name: 'usb0', medium: { image: 'b.img', store: 'stick', readonly: false } },
        { name: 'usb1', medium: { image: 'c.img', store: 'stick2', readonly: false } }, { name: 'usb2', medium: null },
    ];
    const transfers = [{ name: 'd.iso', store: 'stick', state: 'running' }, { name: 'e.iso', store: 'stick', state: 'paused' },
        { name: 'f.iso', store: 'main', state: 'running' }];
    const list = words.detachEffects(STORE, drives, transfers).map(item => plain(item.text ?? item));
    assert.equal(list.length, 4);
    assert.match(list[0], /a\.iso.* is ejected from cd0/);
    assert.match(list[1], /b\.img.* is ejected from usb0/);
    assert.match(list[2], /d\.iso.* has to end first/);
    assert.match(words.detachEffects(STORE, [], [])[0], /No drive and no transfer/);
});

test('what went wrong', () => {
    const failed = { step: 'unmount', code: 'store_in_use', detail: 'EBUSY', drive: null, at: null };
    assert.equal(words.storeProblem(STORE), null);
    const problem = words.storeProblem({ ...STORE, detach_failed: failed });
    assert.match(problem.title, /stick was not detached: unmounting it failed/);
    assert.equal(problem.remedy, 'It is attached as before.');
    assert.equal(words.storeProblem({ ...away('eject'), detach_failed: failed }), null);
    assert.match(words.storeProblem({ ...away('done'), detach_failed: { ...failed, step: 'mount' } }).title, /could not be mounted again/);
    for (const code of ['medium_in_use', 'store_in_use', 'unmount_unavailable', 'collateral_in_use'])
        assert.ok(words.detachRemedies(code).every(remedy => remedy.label && remedy.change), code);
    assert.deepEqual(words.detachRemedies('store_detached'), []);
});
