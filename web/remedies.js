// What can be done about a problem: buttons for it. Pure.
//
// A request is {kind: 'insert' | 'eject', ...parameters of the API}; a remedy is {label, note, danger, request} and
// asks the same thing again, differently; or {label, gadget: order}, which is about the whole device.

const LONG = 300; // s

function again(request, change) {
    return { ...request, ...change };
}

function reattach(request, drive) {
    if (drive.capabilities.reattach === 'never') return [];
    return [{
        label: 'Reattach, then insert', danger: true, request: again(request, { reattach: true }),
        note: 'Unplugs the whole USB device from the host for a second: keyboard and mouse too.',
    }];
}

const REMEDIES = {
    stale_host: (request, drive) => [
        { label: 'Insert read-only', request: again(request, { readonly: true }), note: 'Safe: the host cannot write anything to it.' },
        ...reattach(request, drive),
        {
            label: 'Accept the risk', danger: true, request: again(request, { accept_stale_host: true }),
            note: 'Data that the host still holds for the old medium may be written into the new one.',
        },
    ],
    quarantine: (request, drive) => [
        { label: 'Wait longer', request: again(request, { patience: LONG }), note: 'Up to five minutes.' },
        ...reattach(request, drive),
    ],
    medium_in_use: (request, drive) => [
        { label: 'Wait longer', request: again(request, { patience: LONG }), note: 'Up to five minutes.' },
        ...(drive.capabilities.forced_eject
            ? [{ label: 'Use force…', danger: true, confirm: true, request: again(request, { mode: 'forced' }), note: 'Asks once more before.' }]
            : []),
    ],
    collateral_in_use: request => [{
        label: 'Disturb the other drive', danger: true, request: again(request, { allow_collateral: true }),
        note: 'What its host has not written yet may be lost.',
    }],
    gadget_detached: () => [{ label: 'Attach the USB device', gadget: 'attach' }],
};

export function remedies(code, request, drive) {
    if (!request || !drive) return [];
    return REMEDIES[code]?.(request, drive) ?? [];
}
