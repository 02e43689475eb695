// Backward of the fragments, one view: the exact derivative of fragments_fill.cpp.
//
// Arguments (see _fragments_cpu_warp.py): those of the count up to min_area; next (views * size * size), on entry each
// pixel's first fragment; grad_depth, grad_shade, grad_signed, grad_share (K), or empty for a gradient that is 0;
// grad_corners (R, 3, 3) and grad_shades (R, 3), whose rows of this view are written.

int* const next_of_pixel = (int*)next.data + first_pixel;
auto given = [](auto& gradient) { return gradient.shape[0] > 0 ? (const float*)gradient.data : (const float*)0; };
const float* const depth_gradient = given(grad_depth);
const float* const shade_gradient = given(grad_shade);
const float* const signed_gradient = given(grad_signed);
const float* const share_gradient = given(grad_share);

Lanes weighted[3], to_weight[3];
for_faces(true, every_face, [&](int r, const Face& face) {
    start_face();
    const Outline outline = outline_of(face);
    for_patches(face, [&](int row, int column) {
        const Mask touched = touch(face, row, column, at);
        if (!any(touched)) return;
        Lanes g_z = ZERO, g_shade = ZERO, g_signed = ZERO, g_share = ZERO;
        for_lanes(touched, row, column, [&](int lane, int pixel) {
            const long k = next_of_pixel[pixel]++;
            const Mask here = STEPS == (Mask)(lane);
            if (depth_gradient) g_z = here ? (Lanes)(depth_gradient[k]) : g_z;
            if (shade_gradient) g_shade = here ? (Lanes)(shade_gradient[k]) : g_shade;
            if (signed_gradient) g_signed = here ? (Lanes)(signed_gradient[k]) : g_signed;
            if (share_gradient) g_share = here ? (Lanes)(share_gradient[k]) : g_share;
        });
        if (share_gradient) through_share(outline, g_share);
        if (!any((g_z != ZERO) | (g_shade != ZERO) | (g_signed != ZERO))) return;

        // shade = z sum w_i s_i / z_i and 1 / z = sum w_i / z_i, in the weights and the corners.
        const Lanes depth = depth_of(face, at, weighted);
        const Lanes shade = depth * (weighted[0] * face.shade[0] + weighted[1] * face.shade[1] +
                                     weighted[2] * face.shade[2]);
        const Lanes g_inverse = -g_shade * shade * depth - g_z * depth * depth;
        for (int i = 0; i < 3; i++) {
            const Lanes per_weight = g_shade * depth * face.shade[i] + g_inverse;
            to_weight[i] = per_weight * face.inverse_depth[i];
            to_z[i] -= touched ? per_weight * weighted[i] * face.inverse_depth[i] : ZERO;
            to_shade[i] += touched ? g_shade * depth * weighted[i] : ZERO;
        }
        if (any(touched & at.covers)) through_inside(face, touched & at.covers, to_weight);
        const Lanes g_squared = at.covers ? g_signed : -g_signed;
        const Mask last = ~at.on_first & ~at.on_second;
        if (any(touched & at.on_first)) through_edge(face, 0, touched & at.on_first, g_squared, to_weight);
        if (any(touched & at.on_second)) through_edge(face, 1, touched & at.on_second, g_squared, to_weight);
        if (any(touched & last)) through_edge(face, 2, touched & last, g_squared, to_weight);
    });
    add_face(r);
});
