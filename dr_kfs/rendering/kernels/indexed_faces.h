// Where the corners and shades of a face stand, for the faces of a mesh that a `camera` sees: in corners (V, N, 3) and
// shades (V, F, 1 or 3), a shade for a face or for each of its corners. index (F, 3): rows among the N.

const int* const face_index = (const int*)index.data;
const long first_corner = (long)camera * corners.shape[1];
const long first_seen = (long)camera * index.shape[0];  // of the faces that this camera sees among all that any sees
const int shade_columns = shades.shape[2];
auto corner_place = [&](int r, int i) { return 3 * (first_corner + face_index[3 * (long)r + i]); };
auto shade_place = [&](int r, int i) { return shade_columns * (first_seen + r) + (shade_columns == 3 ? i : 0); };
