// Triangles to eight pixels at a time: what the kernels that walk over faces share.
//
// The lanes are a patch of four columns and two rows: most faces of a fine mesh fit into two or three of them. Patches
// start at the face's first pixel and may end outside of its box, or of the image.
//
// Stands below lanes.h, and below loose_faces.h or indexed_faces.h, at the top of a kernel's body; reads from its
// surroundings: first_face, last_face; corners (x, y [NDC], depth) and shades; `flat`; size, reach, clip, min_area.
// Names and formulas are those of _softras_reference.py.

struct Face {
    float x[3], y[3], inverse_depth[3];
    float inverse_area;            // 1 / twice the signed area [1 / NDC^2]; 0 if the face covers no centre
    float edge_x[3], edge_y[3];    // from corner i to i + 1
    float inverse_length[3];       // 1 / its squared length
    float nearest;                 // depth of the nearest corner; no point of the face is nearer
    int first_row, last_row, first_column, last_column;
    float shade[3];                // at the corners; `flat`: only the first, which is that of the face
};

// Eight faces side by side.
struct EightFaces {
    float x[3][8], y[3][8], inverse_depth[3][8], edge_x[3][8], edge_y[3][8], inverse_length[3][8];
    float inverse_area[8], nearest[8];
    int first_row[8], last_row[8], first_column[8], last_column[8];
};
auto face_of = [](const EightFaces& eight, int lane) {
    Face face;
    for (int i = 0; i < 3; i++) {
        face.x[i] = eight.x[i][lane];
        face.y[i] = eight.y[i][lane];
        face.inverse_depth[i] = eight.inverse_depth[i][lane];
        face.edge_x[i] = eight.edge_x[i][lane];
        face.edge_y[i] = eight.edge_y[i][lane];
        face.inverse_length[i] = eight.inverse_length[i][lane];
    }
    face.inverse_area = eight.inverse_area[lane];
    face.nearest = eight.nearest[lane];
    face.first_row = eight.first_row[lane];
    face.last_row = eight.last_row[lane];
    face.first_column = eight.first_column[lane];
    face.last_column = eight.last_column[lane];
    return face;
};

// What the lanes have to do with a face. Its point is the pixel's centre where it covers it, else the nearest on its
// edges.
struct Located {
    Lanes x[3], y[3];           // corners relative to the pixel centres
    Lanes weight[3];            // screen barycentrics of the centres
    Mask covers;
    Mask nearest[3];            // which edge is the nearest
    Lanes along;                // where on it the nearest point lies [0, 1]
    Lanes to_edge_x, to_edge_y; // from the centres to there
    Lanes squared;              // their squared distance
};

const Mask PATCH_COLUMN = {0, 1, 2, 3, 0, 1, 2, 3}, PATCH_ROW = {0, 0, 0, 0, 1, 1, 1, 1};

// The patch's pixel centres [NDC, y up].
const float inverse_size = 1.0f / size;
auto centres_x = [&](int column) {
    return __builtin_convertvector(2 * (PATCH_COLUMN + column) + 1 - size, Lanes) * inverse_size;
};
auto centres_y = [&](int row) {
    return __builtin_convertvector(size - 1 - 2 * (PATCH_ROW + row), Lanes) * inverse_size;
};

// visit(row, column) for the patches that hold the pixels of a face.
auto for_patches = [](const Face& face, auto&& visit) {
    for (int row = face.first_row; row <= face.last_row; row += 2)
        for (int column = face.first_column; column <= face.last_column; column += 4) visit(row, column);
};

// The faces from `first` on, but none from `last` on, and the pixels they reach (`grown`) or can cover (not grown: then
// without the lengths of their edges). A bit for each that has such pixels and finite corners beyond `clip`.
auto find_eight = [&](int first, int last, bool grown, EightFaces& eight) {
    Lanes x[3], y[3], z[3];
    for (int lane = 0; lane < 8; lane++) {
        const int r = first + lane < last ? first + lane : first;
        for (int i = 0; i < 3; i++) {
            const float* corner = (const float*)corners.data + corner_place(r, i);
            x[i][lane] = corner[0];
            y[i][lane] = corner[1];
            z[i][lane] = corner[2];
        }
    }
    Mask drawn = STEPS + first < (Mask)(last);
    Lanes low_x = x[0], high_x = x[0], low_y = y[0], high_y = y[0], nearest = z[0];
    for (int i = 0; i < 3; i++) {
        drawn &= __builtin_elementwise_abs(x[i]) < (Lanes)(LARGEST);
        drawn &= __builtin_elementwise_abs(y[i]) < (Lanes)(LARGEST);
        drawn &= (z[i] > (Lanes)(clip)) & (z[i] < (Lanes)(LARGEST));
        low_x = smaller(low_x, x[i]); high_x = larger(high_x, x[i]);
        low_y = smaller(low_y, y[i]); high_y = larger(high_y, y[i]);
        nearest = smaller(nearest, z[i]);
    }
    if (grown) {
        low_x -= reach; high_x += reach; low_y -= reach; high_y += reach;
    }
    // A hundredth of a pixel of slack absorbs rounding. Clamped before the conversion: the corners may be anywhere.
    const Lanes most = size - 1.0f, half_size = 0.5f * size;
    auto first_from = [&](Lanes position) {
        return __builtin_elementwise_ceil(smaller(larger(position - 0.01f, ZERO), most + 1.0f));
    };
    auto last_up_to = [&](Lanes position) {
        return __builtin_elementwise_floor(smaller(larger(position + 0.01f, -ONE), most));
    };
    const Lanes centre = 0.5f * most;
    const Lanes left = first_from(centre + low_x * half_size), right = last_up_to(centre + high_x * half_size);
    const Lanes top = first_from(centre - high_y * half_size), bottom = last_up_to(centre - low_y * half_size);
    const Lanes area = (x[1] - x[0]) * (y[2] - y[0]) - (y[1] - y[0]) * (x[2] - x[0]);
    const Mask wide = __builtin_elementwise_abs(area) > (Lanes)(min_area);
    drawn &= (left <= right) & (top <= bottom);
    if (!grown) drawn &= wide;
    const unsigned bits = bits_of(drawn);
    if (bits == 0) return bits;
    for (int i = 0; i < 3; i++) {
        const int j = (i + 1) % 3;
        const Lanes ex = x[j] - x[i], ey = y[j] - y[i];
        store(eight.x[i], x[i]);
        store(eight.y[i], y[i]);
        store(eight.inverse_depth[i], ONE / z[i]);
        store(eight.edge_x[i], ex);
        store(eight.edge_y[i], ey);
        store(eight.inverse_length[i], grown ? ONE / larger(ex * ex + ey * ey, (Lanes)(1e-20f)) : ZERO);
    }
    store(eight.inverse_area, wide ? ONE / area : ZERO);
    store(eight.nearest, nearest);
    auto store_whole = [&](int* to, Lanes place) {
        *(UnalignedInts*)to = __builtin_convertvector(drawn ? place : ZERO, Mask);
    };
    store_whole(eight.first_row, top);
    store_whole(eight.last_row, bottom);
    store_whole(eight.first_column, left);
    store_whole(eight.last_column, right);
    return bits;
};

// visit(r, face) for the faces from first_face to last_face that find_eight finds, and of which is_wanted(r) holds.
auto for_faces = [&](bool grown, auto&& is_wanted, auto&& visit) {
    EightFaces eight;
    for (int first = first_face; first < last_face; first += 8) {
        unsigned wanted = 0;
        for (int lane = 0; lane < 8 && first + lane < last_face; lane++)
            wanted |= (unsigned)is_wanted(first + lane) << lane;
        if (wanted == 0) continue;
        for (unsigned bits = wanted & find_eight(first, last_face, grown, eight); bits != 0; bits &= bits - 1) {
            const int lane = __builtin_ctz(bits), r = first + lane;
            Face face = face_of(eight, lane);
            for (int i = 0; i < (flat ? 1 : 3); i++) face.shade[i] = ((const float*)shades.data)[shade_place(r, i)];
            visit(r, face);
        }
    }
};
auto every_face = [](int) { return true; };

// Of three values, one for each edge, that of the nearest.
auto of_nearest = [](const Located& at, const Lanes* values) {
    return at.nearest[0] ? values[0] : (at.nearest[1] ? values[1] : values[2]);
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

// The rest of `Located`.
auto locate_edges = [&](const Face& face, Located& at) {
    Lanes squared[3], along[3], to_x[3], to_y[3];
    for (int i = 0; i < 3; i++) {
        const float ex = face.edge_x[i], ey = face.edge_y[i];
        const Lanes t = at.x[i] * (-ex * face.inverse_length[i]) + at.y[i] * (-ey * face.inverse_length[i]);
        along[i] = smaller(larger(t, ZERO), ONE);
        to_x[i] = at.x[i] + along[i] * ex;
        to_y[i] = at.y[i] + along[i] * ey;
        squared[i] = to_x[i] * to_x[i] + to_y[i] * to_y[i];
    }
    at.nearest[0] = (squared[0] <= squared[1]) & (squared[0] <= squared[2]);
    at.nearest[1] = ~at.nearest[0] & (squared[1] <= squared[2]);
    at.nearest[2] = ~(at.nearest[0] | at.nearest[1]);
    at.squared = smaller(smaller(squared[0], squared[1]), squared[2]);
    at.along = of_nearest(at, along);
    at.to_edge_x = of_nearest(at, to_x);
    at.to_edge_y = of_nearest(at, to_y);
};

// What is linear on the face, from its values at the corners: where it covers the centres, and at its points. One
// expression for all passes of a kernel: base and layer must agree.
auto at_centres = [&](const float* values, const Located& at) {
    return at.weight[0] * values[0] + at.weight[1] * values[1] + at.weight[2] * values[2];
};
auto at_points = [&](const float* values, const Located& at) {
    const Lanes rest = ONE - at.along;
    Lanes on_edge[3];
    for (int i = 0; i < 3; i++) on_edge[i] = rest * values[i] + at.along * values[(i + 1) % 3];
    return at.covers ? at_centres(values, at) : of_nearest(at, on_edge);
};
auto shade_at_points = [&](const Face& face, const Located& at, Lanes depth) {
    if (flat) return (Lanes)(face.shade[0]);
    float shade_per_depth[3];
    for (int i = 0; i < 3; i++) shade_per_depth[i] = face.shade[i] * face.inverse_depth[i];
    return depth * at_points(shade_per_depth, at);
};
