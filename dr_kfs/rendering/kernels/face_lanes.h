// Triangles to eight pixels at a time: what the kernels that walk over faces share.
//
// The lanes are a patch of four columns and two rows: most faces of a fine mesh fit into two or three of them. Patches
// start at the face's first pixel and may end outside of its box, or of the image.
//
// Stands below lanes.h, and below loose_faces.h or indexed_faces.h, at the top of a kernel's body; reads from its
// surroundings: corners (x, y [NDC], depth) and shades; size, reach, clip, min_area. Names and formulas are those of
// _softras_reference.py.

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

const Mask PATCH_COLUMN = {0, 1, 2, 3, 0, 1, 2, 3}, PATCH_ROW = {0, 0, 0, 0, 1, 1, 1, 1};

// The patch's pixel centres [NDC, y up].
auto centres_x = [&](int column) {
    return __builtin_convertvector(2 * (PATCH_COLUMN + column) + 1 - size, Lanes) / (float)size;
};
auto centres_y = [&](int row) { return __builtin_convertvector(size - 1 - 2 * (PATCH_ROW + row), Lanes) / (float)size; };

// visit(row, column) for the patches that hold the pixels of a face.
auto for_patches = [](const Face& face, auto&& visit) {
    for (int row = face.first_row; row <= face.last_row; row += 2)
        for (int column = face.first_column; column <= face.last_column; column += 4) visit(row, column);
};

// The face and the pixels it reaches (`grown`) or can cover (not grown: then without the lengths of its edges); false if
// there are none, if a corner is not finite, or at or nearer than `clip`.
auto find_face = [&](int r, bool grown, Face& face) {
    const float* corner[3];
    for (int i = 0; i < 3; i++) corner[i] = (const float*)corners.data + corner_place(r, i);
    float low_x = LARGEST, high_x = -LARGEST, low_y = LARGEST, high_y = -LARGEST;
    bool drawn = true;
    face.nearest = LARGEST;
    for (int i = 0; i < 3; i++) {
        const float x = corner[i][0], y = corner[i][1], z = corner[i][2];
        drawn &= __builtin_fabsf(x) < LARGEST && __builtin_fabsf(y) < LARGEST && z > clip && z < LARGEST;
        low_x = x < low_x ? x : low_x; high_x = x > high_x ? x : high_x;
        low_y = y < low_y ? y : low_y; high_y = y > high_y ? y : high_y;
        face.nearest = z < face.nearest ? z : face.nearest;
        face.x[i] = x;
        face.y[i] = y;
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
    if (face.first_row > face.last_row || face.first_column > face.last_column) return false;
    face.area = (face.x[1] - face.x[0]) * (face.y[2] - face.y[0]) - (face.y[1] - face.y[0]) * (face.x[2] - face.x[0]);
    const bool wide = __builtin_fabsf(face.area) > min_area;
    if (!grown && !wide) return false;
    face.inverse_area = wide ? 1.0f / face.area : 0.0f;
    for (int i = 0; i < 3; i++) {
        face.inverse_depth[i] = 1.0f / corner[i][2];
        face.shade[i] = ((const float*)shades.data)[shade_place(r, i)];
    }
    if (!grown) return true;
    for (int i = 0; i < 3; i++) {
        const int j = (i + 1) % 3;
        const float ex = face.x[j] - face.x[i], ey = face.y[j] - face.y[i], squared = ex * ex + ey * ey;
        face.inverse_length[i] = 1.0f / (squared > 1e-20f ? squared : 1e-20f);
    }
    return true;
};

// Corners, screen barycentrics of the centres of the patch at (row, column), and which centres are covered.
auto locate_inside = [&](const Face& face, int row, int column, Located& at) {
    const Lanes px = centres_x(column), py = centres_y(row);
    for (int i = 0; i < 3; i++) {
        at.x[i] = face.x[i] - px;
        at.y[i] = face.y[i] - py;
    }
    at.covers = (Mask)(face.inverse_area != 0.0f ? -1 : 0);
    for (int i = 0; i < 3; i++) {
        const int j = (i + 1) % 3, k = (i + 2) % 3;
        at.weight[i] = (at.x[j] * at.y[k] - at.y[j] * at.x[k]) * face.inverse_area;
        at.covers &= at.weight[i] >= ZERO;
    }
};

// Depth of the located points; fills w_i / z_i. One expression for all passes of a kernel: base and layer must agree.
auto depth_of = [&](const Face& face, const Located& at, Lanes* weighted) {
    for (int i = 0; i < 3; i++) weighted[i] = at.weight[i] * face.inverse_depth[i];
    return ONE / (weighted[0] + weighted[1] + weighted[2]);
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
