// The fragments of one view, each pixel's in the order of the faces.
//
// Arguments (see _fragments_cpu_warp.py): those of the count up to min_area; next (views * size * size), where each
// pixel's next fragment goes: on entry its first one; fragment_face, fragment_depth, fragment_shade, fragment_signed,
// fragment_share (K).

int* const next_of_pixel = (int*)next.data + first_pixel;

Located at;
float depths[8], shades_here[8], distances[8], shares[8];
for_faces(true, every_face, [&](int r, const Face& face) {
    const Outline outline = outline_of(face);
    for_patches(face, [&](int row, int column) {
        const Mask touched = touch(face, row, column, at);
        if (!any(touched)) return;
        const Lanes depth = ONE / at_points(face.inverse_depth, at);
        store(depths, depth);
        store(shades_here, shade_at_points(face, at, depth));
        store(distances, at.covers ? at.squared : -at.squared);
        // A face whose edges all pass outside the bump fills it.
        const bool inner = all(~touched | (at.squared >= (Lanes)(reach * reach)));
        store(shares, inner ? ONE : share_of(outline, at));
        for_lanes(touched, row, column, [&](int lane, int pixel) {
            const long k = next_of_pixel[pixel]++;
            ((int*)fragment_face.data)[k] = r;
            ((float*)fragment_depth.data)[k] = depths[lane];
            ((float*)fragment_shade.data)[k] = shades_here[lane];
            ((float*)fragment_signed.data)[k] = distances[lane];
            ((float*)fragment_share.data)[k] = shares[lane];
        });
    });
});
