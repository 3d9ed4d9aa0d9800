// A ZIP archive of files as one Blob that is made of parts: nothing is compressed, and nothing is copied into memory. Every
// size is written with 64 bits (ZIP64), so that there is one form for all. Pure, but for reading the files once for their
// checksums.

const VERSION = 45; // ZIP64
const UTF8 = 0x0800;
const FULL = 0xffffffff; // "see the 64 bits"
const MADE_ON_UNIX = 3;

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
    let c = n;
    for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
    return c >>> 0;
});

export function crc32(bytes, crc = 0) {
    let c = ~crc;
    for (let i = 0; i < bytes.length; i++) c = TABLE[(c ^ bytes[i]) & 0xff] ^ (c >>> 8);
    return ~c >>> 0;
}

// fields: [bytes, value] in their order, or bytes.
function pack(...fields) {
    const size = fields.reduce((sum, f) => sum + (f instanceof Uint8Array ? f.length : f[0]), 0);
    const out = new Uint8Array(size);
    const view = new DataView(out.buffer);
    let at = 0;
    for (const field of fields) {
        if (field instanceof Uint8Array) {
            out.set(field, at);
            at += field.length;
            continue;
        }
        const [bytes, value] = field;
        if (bytes === 2) view.setUint16(at, value, true);
        else if (bytes === 4) view.setUint32(at, value, true);
        else view.setBigUint64(at, BigInt(value), true);
        at += bytes;
    }
    return out;
}

// Date and time of MS-DOS, which has neither zones nor odd seconds, from 1980 to 2107.
function dosTime(ms) {
    const t = new Date(ms);
    const year = t.getUTCFullYear();
    if (!(year >= 1980 && year <= 2107)) return [0, 1 << 5 | 1];
    return [t.getUTCHours() << 11 | t.getUTCMinutes() << 5 | t.getUTCSeconds() >> 1,
        (year - 1980) << 9 | (t.getUTCMonth() + 1) << 5 | t.getUTCDate()];
}

function localHeader(e) {
    return pack([4, 0x04034b50], [2, VERSION], [2, UTF8], [2, 0], [2, e.time[0]], [2, e.time[1]], [4, e.crc], [4, FULL], [4, FULL],
        [2, e.name.length], [2, 20], e.name, [2, 1], [2, 16], [8, e.size], [8, e.size]);
}

function directoryEntry(e) {
    const mode = e.folder ? 0o040755 : 0o100644;
    return pack([4, 0x02014b50], [2, MADE_ON_UNIX << 8 | VERSION], [2, VERSION], [2, UTF8], [2, 0], [2, e.time[0]], [2, e.time[1]],
        [4, e.crc], [4, FULL], [4, FULL], [2, e.name.length], [2, 28], [2, 0], [2, 0], [2, 0], [4, mode * 0x10000], [4, FULL],
        e.name, [2, 1], [2, 24], [8, e.size], [8, e.size], [8, e.at]);
}

function end(count, size, at) {
    return pack([4, 0x06064b50], [8, 44], [2, VERSION], [2, VERSION], [4, 0], [4, 0], [8, count], [8, count], [8, size], [8, at],
        [4, 0x07064b50], [4, 0], [8, at + size], [4, 1],
        [4, 0x06054b50], [2, 0], [2, 0], [2, 0xffff], [2, 0xffff], [4, FULL], [4, FULL], [2, 0]);
}

async function checksum(file, told, signal) {
    let crc = 0;
    for (const reader = file.stream().getReader(); ;) {
        const { done, value } = await reader.read();
        if (done) return crc;
        if (signal?.aborted) throw new DOMException('', 'AbortError');
        crc = crc32(value, crc);
        told(value.length);
    }
}

// entries: [{path, file}]; a folder has no file, and its path ends with "/". told(bytes): so many more were read.
export async function zip(entries, { told = () => {}, signal } = {}) {
    const parts = [];
    const directory = [];
    let at = 0;
    for (const { path, file } of entries) {
        const e = {
            name: new TextEncoder().encode(path), size: file?.size ?? 0, folder: !file, at, time: dosTime(file?.lastModified ?? Date.now()),
            crc: file ? await checksum(file, told, signal) : 0,
        };
        const header = localHeader(e);
        parts.push(header);
        if (file) parts.push(file);
        directory.push(directoryEntry(e));
        at += header.length + e.size;
    }
    const size = directory.reduce((sum, d) => sum + d.length, 0);
    return new Blob([...parts, ...directory, end(entries.length, size, at)], { type: 'application/zip' });
}
