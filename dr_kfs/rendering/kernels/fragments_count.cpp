// How many fragments each pixel of one view has: the faces one after the other, eight pixels at a time.
//
// Arguments (see _fragments_cpu_warp.py): corners, shades; first_face, last_face (rows of this view); view, size, reach,
// clip, min_area; counts (views, size * size + size + 4), zero on entry: patches that end outside the image add 0 there.

typedef int Quad __attribute__((ext_vector_type(4), aligned(4)));
int* const count = (int*)counts.data + (long)view * counts.shape[1];

Located at;
for_faces(true, every_face, [&](int, const Face& face) {
    for_patches(face, [&](int row, int column) {
        const Mask touched = touch(face, row, column, at);
        int* const upper = count + row * size + column;
        *(Quad*)upper = *(Quad*)upper - touched.lo;  // true is -1
        *(Quad*)(upper + size) = *(Quad*)(upper + size) - touched.hi;
    });
});
