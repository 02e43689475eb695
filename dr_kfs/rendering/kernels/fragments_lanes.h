// Which faces are fragments of which pixels: what the fragment kernels share, below face_lanes.h.
//
// All three kernels must answer alike, bit for bit: the fill writes and the backward reads as many fragments as were
// counted. They do: the expressions are these (see fused.h), and the compiler may not rearrange them.

const long first_pixel = (long)view * size * size;  // of this view among all pixels

// Which lanes of the patch at (row, column) have the face as a fragment: it covers the centre, or passes nearer than
// `reach`. Fills `at`.
auto touch = [&](const Face& face, int row, int column, Located& at) {
    locate_inside(face, row, column, at);
    locate_edges(face, at);
    const Mask within = (PATCH_COLUMN + column <= (Mask)(face.last_column)) & (PATCH_ROW + row <= (Mask)(face.last_row));
    return within & (at.covers | (at.squared < (Lanes)(reach * reach)));
};

// visit(lane, pixel) for the lanes of the patch where `mask` holds, in order; pixel is its place in the view.
auto for_lanes = [&](Mask mask, int row, int column, auto&& visit) {
    const int upper = row * size + column, lower = upper + size - 4;
    for (unsigned bits = bits_of(mask); bits != 0; bits &= bits - 1) {
        const int lane = __builtin_ctz(bits);
        visit(lane, (lane < 4 ? upper : lower) + lane);
    }
};
