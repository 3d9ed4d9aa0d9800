// Making and updating elements. Text only ever becomes a text node, so that no name or message can become markup.

const SVG = 'http://www.w3.org/2000/svg';

// Attributes by name; `on...` adds a listener; false, null and undefined leave it out.
function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
        if (value === false || value === null || value === undefined) continue;
        if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
        else node.setAttribute(name, value === true ? '' : value);
    }
    node.append(...children.filter(child => child !== null && child !== undefined && child !== false));
    return node;
}

export function el(tag, attributes = {}, ...children) {
    return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
    return fill(document.createElementNS(SVG, tag), attributes, children);
}

// Updates touch the page only where something differs: selections, focus and screen readers are left in peace.
export function setText(node, text) {
    if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
    const text = value === true ? '' : value;
    if (value === false || value === null || value === undefined) {
        if (node.hasAttribute(name)) node.removeAttribute(name);
    } else if (node.getAttribute(name) !== String(text)) {
        node.setAttribute(name, text);
    }
}

export function show(node, shown) {
    if (node.hidden === Boolean(shown)) node.hidden = !shown;
}

// A button that cannot be used now keeps the focus, and says why. Its click handler asks isOff().
export function setOff(button, reason) {
    setAttribute(button, 'aria-disabled', reason ? 'true' : null);
    setAttribute(button, 'title', reason || button.dataset.title || null);
}

export function isOff(button) {
    return button.getAttribute('aria-disabled') === 'true';
}

// Keeps the children of `parent` in step with a list. make(item) returns {node, update(item)}; the same key keeps the
// same node.
export function keyedList(parent, keyOf, make) {
    const known = new Map();
    return items => {
        const wanted = new Map(items.map(item => [keyOf(item), item]));
        for (const [key, entry] of known) {
            if (wanted.has(key)) continue;
            entry.node.remove();
            known.delete(key);
        }
        let place = parent.firstElementChild;
        for (const [key, item] of wanted) {
            let entry = known.get(key);
            if (!entry) known.set(key, entry = make(item));
            entry.update?.(item);
            if (entry.node === place) place = place.nextElementSibling;
            else parent.insertBefore(entry.node, place);
        }
    };
}

// A list of sentences: strings, or {text, tone}.
export function sentences(parent) {
    const update = keyedList(parent, item => item.at, () => {
        const node = el('li');
        return {
            node,
            update(item) {
                setText(node, item.text);
                setAttribute(node, 'data-tone', item.tone);
            },
        };
    });
    return list => {
        update(list.map((item, at) => (typeof item === 'string' ? { at, text: item } : { at, ...item })));
        show(parent, list.length > 0);
    };
}

let unique = 0;
export function newId(prefix) {
    return `${prefix}-${++unique}`;
}
