// Triangles to eight pixels at a time: what the kernels that walk over faces share.
//
// Stands below lanes.h at the top of a kernel's body; reads from its surroundings: faces, shades; size, reach, clip,
// min_area. Names and formulas are those of _softras_reference.py.

const float* face_data = (const float*)faces.data;    // (R, 3, 3): x, y [NDC], depth
const float* shade_data = (const float*)shades.data;  // (R, 3)

struct Face {
    float x[3], y[3], inverse_depth[3], shade[3];
    float area, inverse_area;      // twice the signed area [NDC^2]; inverse 0 if the face covers no centre
    float inverse_length[3];       // 1 / squared length of the edge from corner i to i + 1
    float nearest;                 // depth of the nearest corner; no point of the face is nearer
    int first_row, last_row, first_column, last_column;
};

// What the lanes have to do with a face.
struct Located {
    Lanes x[3], y[3];   // corners relative to the pixel centres
    Lanes weight[3];    // screen barycentrics: of the centre where covered, else of the nearest edge point
    Mask covers;
    Lanes squared;      // squared distance to the edges
    Lanes along;        // where on the nearest edge the nearest point lies [0, 1]
    Mask on_first, on_second;  // the nearest edge is 0, is 1 (else 2)
    Lanes fade;
};

auto pixel_x = [&](int column) {
    const Mask steps = {0, 1, 2, 3, 4, 5, 6, 7};
    return __builtin_convertvector(2 * (steps + column) + 1 - size, Lanes) / (float)size;
};
auto pixel_y = [&](int row) { return (float)(size - 1 - 2 * row) / (float)size; };

// The face and the pixels it reaches (`grown`) or can cover (not grown); false if it has no row of them, if a corner is
// not finite, or at or nearer than `clip`. Its columns may still be none: first_column > last_column.
auto find_face = [&](int r, bool grown, Face& face) {
    const float* corner = face_data + 9 * (long)r;
    float low_x = LARGEST, high_x = -LARGEST, low_y = LARGEST, high_y = -LARGEST;
    bool drawn = true;
    face.nearest = LARGEST;
    for (int i = 0; i < 3; i++) {
        const float x = corner[3 * i], y = corner[3 * i + 1], z = corner[3 * i + 2];
        drawn &= __builtin_fabsf(x) < LARGEST && __builtin_fabsf(y) < LARGEST && z > clip && z < LARGEST;
        low_x = x < low_x ? x : low_x; high_x = x > high_x ? x : high_x;
        low_y = y < low_y ? y : low_y; high_y = y > high_y ? y : high_y;
        face.nearest = z < face.nearest ? z : face.nearest;
        face.x[i] = x;
        face.y[i] = y;
        face.inverse_depth[i] = 1.0f / z;
        face.shade[i] = shade_data[3 * (long)r + i];
    }
    if (!drawn) return false;
    if (grown) {
        low_x -= reach; high_x += reach; low_y -= reach; high_y += reach;
    }
    // A hundredth of a pixel of slack absorbs rounding. Clamped before the conversion: the corners may be anywhere.
    auto pixel = [&](float position) { return position < -1.0f ? -1.0f : position > size ? (float)size : position; };
    face.first_column = (int)__builtin_ceilf(pixel((low_x * size + size - 1) * 0.5f - 0.01f));
    face.last_column = (int)__builtin_floorf(pixel((high_x * size + size - 1) * 0.5f + 0.01f));
    face.first_row = (int)__builtin_ceilf(pixel((size - 1 - high_y * size) * 0.5f - 0.01f));
    face.last_row = (int)__builtin_floorf(pixel((size - 1 - low_y * size) * 0.5f + 0.01f));
    face.first_column = face.first_column < 0 ? 0 : face.first_column;
    face.first_row = face.first_row < 0 ? 0 : face.first_row;
    face.last_column = face.last_column > size - 1 ? size - 1 : face.last_column;
    face.last_row = face.last_row > size - 1 ? size - 1 : face.last_row;
    face.area = (face.x[1] - face.x[0]) * (face.y[2] - face.y[0]) - (face.y[1] - face.y[0]) * (face.x[2] - face.x[0]);
    const bool wide = __builtin_fabsf(face.area) > min_area;
    face.inverse_area = wide ? 1.0f / face.area : 0.0f;
    for (int i = 0; i < 3; i++) {
        const int j = (i + 1) % 3;
        const float ex = face.x[j] - face.x[i], ey = face.y[j] - face.y[i], squared = ex * ex + ey * ey;
        face.inverse_length[i] = 1.0f / (squared > 1e-20f ? squared : 1e-20f);
    }
    return face.first_row <= face.last_row && (grown || wide);
};

// Corners, screen barycentrics of the centres, and which centres are covered; py may be one for all lanes.
auto locate_inside = [&](const Face& face, Lanes px, auto py, Located& at) {
    for (int i = 0; i < 3; i++) {
        at.x[i] = face.x[i] - px;
        at.y[i] = (Lanes)(face.y[i] - py);
    }
    at.covers = (Mask)(face.inverse_area != 0.0f ? -1 : 0);
    for (int i = 0; i < 3; i++) {
        const int j = (i + 1) % 3, k = (i + 2) % 3;
        at.weight[i] = (at.x[j] * at.y[k] - at.y[j] * at.x[k]) * face.inverse_area;
        at.covers &= at.weight[i] >= ZERO;
    }
};

// The rest of `Located`: the nearest edge point, and barycentrics that lie in the face everywhere.
auto locate_edges = [&](const Face& face, Located& at) {
    Lanes squared[3], along[3];
    for (int i = 0; i < 3; i++) {
        const int j = (i + 1) % 3;
        const float ex = face.x[j] - face.x[i], ey = face.y[j] - face.y[i];
        Lanes t = -(at.x[i] * ex + at.y[i] * ey) * face.inverse_length[i];
        t = smaller(larger(t, ZERO), ONE);
        const Lanes dx = at.x[i] + t * ex, dy = at.y[i] + t * ey;
        squared[i] = dx * dx + dy * dy;
        along[i] = t;
    }
    at.on_first = (squared[0] <= squared[1]) & (squared[0] <= squared[2]);
    at.on_second = ~at.on_first & (squared[1] <= squared[2]);
    at.squared = smaller(smaller(squared[0], squared[1]), squared[2]);
    at.along = at.on_first ? along[0] : (at.on_second ? along[1] : along[2]);
    const Lanes rest = ONE - at.along;
    const Lanes edge[3] = {
        at.on_first ? rest : (at.on_second ? ZERO : at.along),
        at.on_first ? at.along : (at.on_second ? rest : ZERO),
        at.on_first ? ZERO : (at.on_second ? at.along : rest),
    };
    for (int i = 0; i < 3; i++) at.weight[i] = at.covers ? at.weight[i] : edge[i];
};
