// Which faces are fragments of which pixels: what the fragment kernels share, below face_lanes.h.
//
// The lanes are a patch of four columns and two rows: most faces of a fine mesh fit into two or three of them. All three
// kernels must answer alike, bit for bit: the fill writes and the backward reads as many fragments as were counted.
// They do: the expressions are these (see fused.h), and the compiler may not rearrange them.

const Mask PATCH_COLUMN = {0, 1, 2, 3, 0, 1, 2, 3}, PATCH_ROW = {0, 0, 0, 0, 1, 1, 1, 1};
const Mask STEPS = {0, 1, 2, 3, 4, 5, 6, 7};
const long first_pixel = (long)view * size * size;  // of this view among all pixels

// Which lanes of the patch at (row, column) have the face as a fragment: it covers the centre, or passes nearer than
// `reach`. Fills `at`.
auto touch = [&](const Face& face, int row, int column, Located& at) {
    const Mask columns = PATCH_COLUMN + column, rows = PATCH_ROW + row;
    const Lanes px = __builtin_convertvector(2 * columns + 1 - size, Lanes) / (float)size;
    const Lanes py = __builtin_convertvector(size - 1 - 2 * rows, Lanes) / (float)size;
    locate_inside(face, px, py, at);
    locate_edges(face, at);
    const Mask within = (columns <= (Mask)(face.last_column)) & (rows <= (Mask)(face.last_row));
    return within & (at.covers | (at.squared < (Lanes)(reach * reach)));
};

// visit(row, column) for the patches that hold the pixels of a face.
auto for_patches = [](const Face& face, auto&& visit) {
    for (int row = face.first_row; row <= face.last_row; row += 2)
        for (int column = face.first_column; column <= face.last_column; column += 4) visit(row, column);
};

// visit(lane, pixel) for the lanes of the patch where `mask` holds, in order; pixel is its place in the view.
auto for_lanes = [&](Mask mask, int row, int column, auto&& visit) {
    typedef bool Bits __attribute__((ext_vector_type(8)));
    unsigned bits = __builtin_bit_cast(unsigned char, __builtin_convertvector(mask, Bits));
    const int upper = row * size + column, lower = upper + size - 4;
    for (; bits != 0; bits &= bits - 1) {
        const int lane = __builtin_ctz(bits);
        visit(lane, (lane < 4 ? upper : lower) + lane);
    }
};

// w_i / z_i of the face at the lanes.
auto over_depth = [](const Face& face, const Located& at, Lanes* weighted) {
    for (int i = 0; i < 3; i++) weighted[i] = at.weight[i] * face.inverse_depth[i];
};
