// Where the corners and shades of a face stand, for faces that share none: in corners (R, 3, 3) and shades (R, 3).

auto corner_place = [&](int r, int i) { return 9 * (long)r + 3 * i; };
const bool flat = false;  // a shade for each corner
auto shade_place = [&](int r, int i) { return 3 * (long)r + i; };
