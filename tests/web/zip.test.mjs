// The ZIP archives that the page makes, read by Python's zipfile, and what is gathered for them.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';

const { crc32, zip } = await import('../../web/zip.js');
const { asDisc } = await import('../../web/gather.js');
const { imageName, isPacked } = await import('../../web/packed.js');

test('the checksum', () => {
    assert.equal(crc32(new TextEncoder().encode('123456789')), 0xcbf43926);
    assert.equal(crc32(new Uint8Array(0)), 0);
});

test('an archive', async () => {
    const file = (text, lastModified) => Object.assign(new Blob([text]), { lastModified });
    let told = 0;
    const entries = [
        { path: 'a.txt', file: file('hello', Date.UTC(2024, 1, 29, 12, 34, 56)) },
        { path: 'Grüße/😀.bin', file: file(new Uint8Array(300000).fill(7), Date.UTC(1970, 0, 1)) },
        { path: 'empty/', file: null },
        { path: 'nothing', file: file('', Date.UTC(2024, 0, 1)) },
    ];
    const blob = await zip(entries, { told: n => { told += n; } });
    assert.equal(told, 300005);
    const dir = mkdtempSync(join(tmpdir(), 'trayd-zip-'));
    writeFileSync(join(dir, 'a.zip'), new Uint8Array(await blob.arrayBuffer()));
    const seen = JSON.parse(execFileSync('python3', ['-c', `
import json, sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
assert z.testzip() is None
print(json.dumps([[i.filename, i.file_size, list(i.date_time), i.is_dir()] for i in z.infolist()]))`, join(dir, 'a.zip')]));
    rmSync(dir, { recursive: true });
    assert.deepEqual(seen.map(([name, size, , folder]) => [name, size, folder]),
        [['a.txt', 5, false], ['Grüße/😀.bin', 300000, false], ['empty/', 0, true], ['nothing', 0, false]]);
    assert.deepEqual(seen[0][2], [2024, 2, 29, 12, 34, 56]);
    assert.deepEqual(seen[1][2], [1980, 1, 1, 0, 0, 0]);
});

test('one folder alone is the disc', () => {
    const list = paths => paths.map(path => ({ path, file: {} }));
    const names = paths => asDisc(list(paths)).list.map(({ path }) => path);
    assert.deepEqual(names(['top/a', 'top/b/c']), ['a', 'b/c']);
    assert.equal(asDisc(list(['top/a'])).name, 'top');
    assert.deepEqual(names(['top/a', 'b']), ['top/a', 'b']);
    assert.deepEqual(names(['a']), ['a']);
    assert.deepEqual(names(['A\u0308.txt']), ['\u00c4.txt'], 'composed');
    assert.deepEqual(names([]), []);
});

test('what is packed', () => {
    for (const [name, image] of [['a.img.xz', 'a.img'], ['A.ISO.ZST', 'A.ISO'], ['a.zip', 'a.img'], ['a.tar.xz', null], ['a.iso', null]]) {
        assert.equal(isPacked(name), image !== null, name);
        assert.equal(imageName(name), image ?? name);
    }
});
