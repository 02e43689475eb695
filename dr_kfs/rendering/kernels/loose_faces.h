// Where the corners and shades of a face stand, for faces that share none: in corners (R, 3, 3) and shades (R, 3),
// which are one for each corner: `flat`, a constant that stands above, is false.

auto corner_place = [&](int r, int i) { return 9 * (long)r + 3 * i; };
auto shade_place = [&](int r, int i) { return 3 * (long)r + i; };
