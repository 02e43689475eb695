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

Lanes weight[3];
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

        const Lanes depth = ONE / at_points(face.inverse_depth, at), shade = shade_at_points(face, at, depth);
        weigh_points(weight);
        const Linear gradient = through_depth(depth, shade, g_z, g_shade);
        through_values(gradient, weight);
        if (any(touched & at.covers)) through_inside(face, touched & at.covers, gradient);
        through_edges(face, touched, at.covers ? g_signed : -g_signed, gradient);
    });
    add_face(r, face);
});
