// Files and folders that a person chose or dropped, as a list of paths.

// Of <input type=file>, with or without folders.
export function fromInput(files) {
    return [...files].map(file => ({ path: file.webkitRelativePath || file.name, file }));
}

// A directory reader gives some at a time, and nothing at the end.
async function children(folder) {
    const reader = folder.createReader();
    const all = [];
    for (;;) {
        const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        if (some.length === 0) return all;
        all.push(...some);
    }
}

async function walk(entry, above, found) {
    const path = above + entry.name;
    if (entry.isFile) {
        found.push({ path, file: await new Promise((resolve, reject) => entry.file(resolve, reject)) });
        return;
    }
    const inside = await children(entry);
    if (inside.length === 0) found.push({ path: `${path}/`, file: null });
    for (const child of inside) await walk(child, `${path}/`, found);
}

// Of a drop. The items must be asked before the event ends.
export async function fromDrop(items) {
    const things = [...items].filter(item => item.kind === 'file').map(item => item.webkitGetAsEntry?.() ?? item.getAsFile());
    const found = [];
    for (const thing of things.filter(Boolean)) {
        if (thing instanceof File) found.push({ path: thing.name, file: thing });
        else await walk(thing, '', found);
    }
    return found;
}

// macOS writes names decomposed, which is not what other hosts look for. One folder alone is the disc itself.
export function asDisc(list) {
    const all = list.map(({ path, file }) => ({ path: path.normalize('NFC'), file }));
    const top = all[0]?.path.split('/')[0];
    const inside = all.length > 0 && all.every(({ path }) => path.startsWith(`${top}/`));
    const stripped = all.map(({ path, file }) => ({ path: inside ? path.slice(top.length + 1) : path, file })).filter(({ path }) => path);
    return { list: stripped, name: inside ? top : null };
}
