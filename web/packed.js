// What comes packed, and what the image in it will be called: as the appliance decides it (unpack_name.c). Pure.

const PACKED = /\.(xz|gz|zst|bz2|zip)$/i;
const TAR = /\.tar\.\w+$/i;
const IMAGE = /\.(iso|img|ima|raw|bin|dd|wic|dsk|flp|vfd|fat|usb|hddimg|sdcard|image)$/i;

export const isPacked = name => PACKED.test(name) && !TAR.test(name);

export function imageName(name) {
    if (!isPacked(name)) return name;
    const bare = name.replace(PACKED, '');
    return IMAGE.test(bare) ? bare : `${bare}.img`;
}
