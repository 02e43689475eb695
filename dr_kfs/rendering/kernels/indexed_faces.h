// Where the corners and shades of a face stand, for the faces of a mesh that a `camera` sees: in corners (V, N, 3) and
// shades (V, F, 1 or 3), a shade for a face (`flat`, a constant that stands above) or for each of its corners.
// index (F, 3): rows among the N.

const int* const face_index = (const int*)index.data;
const long first_corner = (long)camera * corners.shape[1];
const long first_seen = (long)camera * index.shape[0];  // of the faces that this camera sees among all that any sees
auto corner_place = [&](int r, int i) { return 3 * (first_corner + face_index[3 * (long)r + i]); };
auto shade_place = [&](int r, int i) { return flat ? first_seen + r : 3 * (first_seen + r) + i; };
