// Backward of the soft rasterizer, one view: the exact derivative of softras_forward.cpp.
//
// Arguments (see _softras_cpu_warp.py): those of the forward up to min_halo, but far_depth; kept, winners and seen as
// the forward left them; grad_image, grad_alpha, grad_depth (views, size + 1, pitch), 0 in the padding, or empty for
// a gradient that is 0; grad_base (views, size + 1, pitch), scratch;
// grad_corners and grad_shades, to whose rows of this camera and mesh is added (see face_gradient.h).

auto of_this_view = [&](auto& gradient) {
    return gradient.shape[0] > 0 ? (const float*)gradient.data + offset : (const float*)0;
};
const float* const image_gradient = of_this_view(grad_image);
const float* const alpha_gradient = of_this_view(grad_alpha);
const float* const depth_gradient = of_this_view(grad_depth);
auto gradient_at = [&](const float* gradient, long pixel) {
    return gradient ? load_patch(gradient + pixel) : ZERO;
};
float* const base_gradient = (float*)grad_base.data + offset;
for (long i = 0; i < pixels; i++)
    base_gradient[i] = depth_gradient ? depth_gradient[i] * (1.0f - front[i]) : 0.0f;

const int* const is_seen = (const int*)seen.data + first_seen;
Fragment fragment;

// Layer and occluders.
auto was_seen = [&](int r) { return (is_seen[r] & SEEN) != 0; };
auto was_seen_and_covers = [&](int r) { return is_seen[r] == (SEEN | COVERS); };
for_faces(true, was_seen, [&](int r, const Face& face) {
    start_face();
    for_patches(face, [&](int row, int column) {
        const long pixel = pixel_at(row, column);
        const Lanes g_image = gradient_at(image_gradient, pixel), g_depth = gradient_at(depth_gradient, pixel);
        const Lanes g_alpha = gradient_at(alpha_gradient, pixel);
        if (!any((g_image != ZERO) | (g_depth != ZERO) | (g_alpha != ZERO))) return;
        if (!see_face(face, row, column, at, fragment)) return;
        const Mask touched = fragment.touched, has_base = fragment.has_base;
        const Lanes depth = fragment.depth, shade = fragment.shade, fade = fragment.fade, area = fragment.area;
        const Lanes near = fragment.near, occludes = fragment.occludes;
        const Lanes f = load_patch(front + pixel), c = load_patch(layer_shade + pixel);

        // The layer: c_0 = sum share shade / sum share.
        const Mask in_layer = touched & has_base;
        const Lanes total = in_layer ? load_patch(layer_total + pixel) : ONE;
        const Lanes g_layer = in_layer ? g_image * (ONE - f) / total : ZERO;
        const Lanes window = near * (ONE - occludes);
        const Lanes g_share = g_layer * (shade - c);
        Lanes g_shade = g_layer * area * window;
        Lanes g_fade = 0.5f * g_share * window;
        g_fade = at.covers ? -g_fade : g_fade;
        Lanes g_behind = g_share * area * window * (occludes - (ONE - near));
        Lanes g_z = ZERO;

        // The occluders: halo = fade * occludes, mixed by its square; the largest one is the coverage.
        const Lanes halo = fade * occludes;
        const Mask fronts = touched & ~at.covers & (halo > (Lanes)(min_halo));
        if (any(fronts)) {
            const Lanes m = load_patch(mix_shade + pixel), d = load_patch(mix_depth + pixel);
            const Lanes g_mix = fronts ? f * halo / load_patch(mix_total + pixel) : ZERO;
            g_shade += g_image * g_mix * halo;
            g_z += g_depth * g_mix * halo;
            Lanes g_halo = 2.0f * g_mix * (g_image * (shade - m) + g_depth * (depth - d));
            Lanes g_front = g_image * (m - c) + g_depth * (d - fragment.base);
            g_front += has_base ? ZERO : g_alpha;
            const Mask wins = load_winners(pixel) == (Mask)(r);
            g_halo += (fronts & wins) ? g_front : ZERO;
            g_fade += g_halo * occludes;
            g_behind -= has_base ? g_halo * fade * occludes * (ONE - occludes) : ZERO;
        }
        g_behind = in_layer ? g_behind : ZERO;
        g_z += g_behind * inverse_gamma;
        add_to_patch(base_gradient + pixel, -g_behind * inverse_gamma);

        Lanes weight[3];
        weigh_points(weight);
        const Linear gradient = through_depth(depth, shade, g_z, g_shade);
        through_values(gradient, weight);
        const Lanes slope = (fade + cutoff / (1.0f - cutoff)) * inverse_sigma;
        const Lanes g_squared = (touched & (fade > ZERO)) ? -g_fade * slope : ZERO;
        if (any(at.covers)) through_inside(face, touched & at.covers, gradient);
        if (any(fade > ZERO)) through_edges(face, touched, g_squared, gradient);
    });
    add_face(r, face);
});

// Base depth: softmin over the covering faces. One that no pixel saw is too far behind the base to have a part in it.
for_faces(false, was_seen_and_covers, [&](int r, const Face& face) {
    start_face();
    bool met = false;
    for_patches(face, [&](int row, int column) {
        const long pixel = pixel_at(row, column);
        const Lanes g_base = load_patch(base_gradient + pixel);
        if (!any(g_base != ZERO)) return;
        if (hidden_behind(face, load_patch(log_sum + pixel))) return;
        locate_inside(face, row, column, at);
        Mask counts = at.covers & (g_base != ZERO) & (load_patch(log_sum + pixel) < (Lanes)(NO_BASE));
        if (!any(counts)) return;
        const Lanes depth = ONE / at_centres(face.inverse_depth, at);
        const Lanes nearness = (load_patch(log_sum + pixel) - depth) * inverse_gamma;
        counts &= nearness > (Lanes)(-HIDDEN);
        if (!any(counts)) return;
        met = true;
        const Lanes behind = (depth - load_patch(base_depth + pixel)) * inverse_gamma;
        const Lanes g_z = counts ? g_base * exponential(nearness) * (ONE - behind) : ZERO;
        // Beside the face, 1 / z goes on to 0 and beyond.
        const Linear gradient = through_depth(counts ? depth : ONE, ZERO, g_z, ZERO);
        through_values(gradient, at.weight);
        through_inside(face, counts, gradient);
    });
    if (met) add_face(r, face);
});
