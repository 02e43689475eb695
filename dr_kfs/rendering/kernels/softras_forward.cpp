// Forward of the soft rasterizer, one view: the faces one after the other, eight pixels at a time.
//
// Arguments (see _softras_cpu_warp.py): corners, index, shades; first_face, last_face (of this view's mesh); camera;
// view, views, size, sigma, gamma, far_depth, clip, reach, margin, cutoff, min_area, min_halo; image, alpha,
// depth_image, kept, winners; seen (V F,), whose rows of this view are written: SEEN, COVERS, both or 0.

for (long i = 0; i < pixels; i++) {
    base_depth[i] = NO_BASE;  // the nearest depth, until the base is known
    log_sum[i] = layer_total[i] = layer_shade[i] = 0.0f;
    front[i] = mix_total[i] = mix_shade[i] = mix_depth[i] = 0.0f;
    winner[i] = -1;
}

Located at;
Fragment fragment;

int* const is_seen = (int*)seen.data + first_seen;
for (int r = first_face; r < last_face; r++) is_seen[r] = 0;

// Base: softmin of the depth over the covering faces, in one pass: the sums are relative to the nearest depth so far.
float* const weight_sum = layer_total;  // not needed for the layer yet
float* const depth_sum = layer_shade;
for_faces(false, every_face, [&](int r, const Face& face) {
    for_patches(face, [&](int row, int column) {
        const long pixel = pixel_at(row, column);
        const Lanes nearest = load_patch(base_depth + pixel);
        if (hidden_behind(face, nearest)) return;
        locate_inside(face, row, column, at);
        if (!any(at.covers)) return;
        is_seen[r] = COVERS;
        const Lanes depth = at.covers ? ONE / at_centres(face.inverse_depth, at) : (Lanes)(NO_BASE);
        const Lanes behind = (depth - nearest) * inverse_gamma;
        const Lanes smaller_weight = exponential(-__builtin_elementwise_abs(behind));
        const Mask leads = behind < ZERO, counts = at.covers & (behind < (Lanes)(HIDDEN));
        const Lanes old_weight = leads ? smaller_weight : ONE;
        const Lanes new_weight = leads ? ONE : (counts ? smaller_weight : ZERO);
        store_patch(base_depth + pixel, leads ? depth : nearest);
        store_patch(weight_sum + pixel, load_patch(weight_sum + pixel) * old_weight + new_weight);
        store_patch(depth_sum + pixel, load_patch(depth_sum + pixel) * old_weight + new_weight * depth);
    });
});
for (long i = 0; i < pixels; i++) {
    const float total = weight_sum[i];
    if (total > 0.0f) {
        log_sum[i] = base_depth[i] - gamma * __builtin_logf(total);
        base_depth[i] = depth_sum[i] / total;
    } else {
        log_sum[i] = NO_BASE;
        base_depth[i] = far_depth;
    }
    layer_total[i] = layer_shade[i] = 0.0f;
}

// The farthest base of every 16 x 16 pixels that start at a multiple of 8. The image, not yet made, has room for it.
const int blocks = (size + 7) / 8;
float* const farthest_base = (float*)image.data + (long)view * size * size;
for (int row = 0; row < size; row++)
    for (int block = 0; block < blocks; block++) {
        const long pixel = (long)row * pitch + 8 * block;  // the last eight may end in the next row
        const Lanes depth = load(log_sum + pixel) < (Lanes)(NO_BASE) ? load(base_depth + pixel) : (Lanes)(NO_BASE);
        float& of_eight = farthest_base[row / 8 * blocks + block];
        const float here = __builtin_reduce_max(depth);
        of_eight = row % 8 == 0 || here > of_eight ? here : of_eight;
    }
for (int block = 0; block < blocks * blocks; block++) {
    const int right = block % blocks < blocks - 1, below = block / blocks < blocks - 1 ? blocks : 0;
    const int others[3] = {block + right, block + below, block + below + right};
    for (int i = 0; i < 3; i++)
        if (farthest_base[others[i]] > farthest_base[block]) farthest_base[block] = farthest_base[others[i]];
}
auto hidden_everywhere = [&](const Face& face) {
    if (face.last_row - face.first_row > 8 || face.last_column - face.first_column > 8) return false;
    const float base = farthest_base[face.first_row / 8 * blocks + face.first_column / 8];
    return (face.nearest - base) * inverse_gamma >= HIDDEN;
};

// Layer and occluders.
for_faces(true, every_face, [&](int r, const Face& face) {
    if (hidden_everywhere(face)) return;
    for_patches(face, [&](int row, int column) {
        if (!see_face(face, row, column, at, fragment)) return;
        is_seen[r] |= SEEN;
        const long pixel = pixel_at(row, column);
        if (any(fragment.has_base)) {
            const Lanes share = (fragment.touched & fragment.has_base)
                                    ? fragment.area * fragment.near * (ONE - fragment.occludes)
                                    : ZERO;
            add_to_patch(layer_total + pixel, share);
            add_to_patch(layer_shade + pixel, share * fragment.shade);
        }
        const Lanes halo = (fragment.touched & ~at.covers) ? fragment.fade * fragment.occludes : ZERO;
        const Mask fronts = halo > (Lanes)(min_halo);
        if (!any(fronts)) return;
        const Lanes squared = fronts ? halo * halo : ZERO;
        add_to_patch(mix_total + pixel, squared);
        add_to_patch(mix_shade + pixel, squared * fragment.shade);
        add_to_patch(mix_depth + pixel, squared * fragment.depth);
        const Lanes before = load_patch(front + pixel);
        const Mask wins = fronts & (halo > before);
        store_patch(front + pixel, wins ? halo : before);
        store_winners(pixel, wins ? (Mask)(r) : load_winners(pixel));
    });
});

// Means, and the images.
for (int row = 0; row < size; row++)
    for (int column = 0; column < size; column++) {
        const long pixel = (long)row * pitch + column, target = ((long)view * size + row) * size + column;
        const bool has_base = log_sum[pixel] < NO_BASE;
        if (layer_total[pixel] > 0.0f) layer_shade[pixel] /= layer_total[pixel];
        if (mix_total[pixel] > 0.0f) {
            mix_shade[pixel] /= mix_total[pixel];
            mix_depth[pixel] /= mix_total[pixel];
        }
        const float f = front[pixel];
        ((float*)image.data)[target] = (1.0f - f) * layer_shade[pixel] + f * mix_shade[pixel];
        ((float*)depth_image.data)[target] = (1.0f - f) * base_depth[pixel] + f * mix_depth[pixel];
        ((float*)alpha.data)[target] = has_base ? 1.0f : f;
    }
