// What is said about transfers, and the pure parts of the tus client.
import assert from 'node:assert/strict';
import test from 'node:test';

globalThis.document = { baseURI: 'http://kvm/' };
const { isShown, transferFacts, transferProblem } = await import('../../web/transfer_words.js');
const { fingerprint, isPassing, metadata } = await import('../../web/tus.js');

const NOW = Date.parse('2026-11-21T12:00:00Z');
const TRANSFER = {
    id: '0123456789abcdef', kind: 'upload', method: 'tus', name: 'a.iso', store: 'main', source: null, state: 'running',
    cancelling: false, bytes: 5e6, size: 2e7, progress: 0.25, speed: 1e6, remaining: 15, code: null, detail: null, user: 'local',
    peer: '127.0.0.1', started_at: '2026-11-21T11:59:00Z', finished_at: null, expires_at: null, result: null,
};

test('transfers', () => {
    const facts = change => transferFacts({ ...TRANSFER, ...change }, NOW).join(' · ');
    assert.equal(facts({}), '5 MB of 20 MB · 1 MB/s · 15 s left · by local from 127.0.0.1');
    assert.equal(facts({ size: null, remaining: null }), '5 MB · 1 MB/s · by local from 127.0.0.1');
    assert.equal(facts({ bytes: 2e7, remaining: 0 }), '20 MB of 20 MB · being written to the disk and checked · by local from 127.0.0.1');
    assert.match(facts({ state: 'paused', speed: 0, remaining: null, expires_at: '2026-11-22T12:00:00Z' }),
        /^paused at 5 MB of 20 MB · choose the same file again to go on · kept until .*· by local/);
    assert.equal(facts({ cancelling: true, peer: null, user: null }), 'is being cancelled');
    assert.match(facts({ kind: 'download', source: 'http://x/a.iso' }), /http:\/\/x\/a\.iso/);
    assert.deepEqual(['running', 'paused', 'done', 'cancelled'].map(state => isShown({ ...TRANSFER, state })), [true, true, false, false]);
    assert.equal(isShown({ ...TRANSFER, state: 'failed', code: 'aborted' }), false);
    const failed = { ...TRANSFER, state: 'failed', code: 'digest_mismatch', detail: 'The content has ...' };
    assert.equal(isShown(failed), true);
    assert.equal(transferProblem(failed).title, 'The upload of a.iso failed');
});

test('the header fields of tus', () => {
    assert.equal(metadata({ filename: 'a.iso', store: undefined, fingerprint: 'ü' }), 'filename YS5pc28=,fingerprint w7w=');
    const file = { name: 'a.iso', size: 5, lastModified: 7 };
    assert.equal(fingerprint(file), 'a.iso/5/7');
    assert.notEqual(fingerprint(file), fingerprint({ ...file, lastModified: 8 }));
    const passing = [{ code: 'unreachable' }, { code: 'upload_busy', status: 423 }, { code: 'unavailable', status: 503 },
        { code: 'offset_differs', status: 409 }, { code: 'unexpected', status: 502 }];
    const final = [{ code: 'exists', status: 409 }, { code: 'no_space', status: 507 }, { code: 'digest_mismatch', status: 422 },
        { code: 'not_found', status: 404 }, { code: 'cancelled', status: 409 }, { code: 'internal', status: 500 }];
    assert.ok(passing.every(isPassing));
    assert.ok(!final.some(isPassing));
});
