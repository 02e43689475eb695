// Forward of the soft rasterizer, one view: the faces one after the other, eight pixels of a row at a time.
//
// Arguments (see _softras_cpu_warp.py): faces, shades; first_face, last_face (rows of this view); view, views, size,
// sigma, gamma, far_depth, clip, reach, margin, cutoff, min_area, min_halo; image, alpha, depth_image, kept, winners.

for (long i = 0; i < (long)size * pitch; i++) {
    base_depth[i] = NO_BASE;  // the nearest depth, until the base is known
    log_sum[i] = layer_total[i] = layer_shade[i] = 0.0f;
    front[i] = mix_total[i] = mix_shade[i] = mix_depth[i] = 0.0f;
    winner[i] = -1;
}

Face face;
Located at;
Fragment fragment;

// Depth of the covered centres, for the two passes over the base; pixels for which `skips` holds are left out.
auto for_covered = [&](auto&& skips, auto&& visit) {
    for (int r = first_face; r < last_face; r++) {
        if (!read_face(r, false, face)) continue;
        for (int row = face.first_row; row <= face.last_row; row++) {
            const float py = pixel_y(row);
            for (int column = face.first_column; column <= face.last_column; column += 8) {
                const long pixel = (long)row * pitch + column;
                if (skips(pixel)) continue;
                locate_inside(face, pixel_x(column), py, at);
                if (!any(at.covers)) continue;
                const Lanes inverse = at.weight[0] * face.inverse_depth[0] + at.weight[1] * face.inverse_depth[1] +
                                      at.weight[2] * face.inverse_depth[2];
                visit(pixel, at.covers ? ONE / inverse : (Lanes)(NO_BASE));
            }
        }
    }
};

// Base: softmin of the depth over the covering faces. First the nearest, then the sums relative to it.
for_covered([&](long pixel) { return all(load(base_depth + pixel) <= (Lanes)(face.nearest)); },
            [&](long pixel, Lanes depth) { store(base_depth + pixel, smaller(load(base_depth + pixel), depth)); });
for_covered([&](long pixel) { return hidden_behind(face, load(base_depth + pixel)); }, [&](long pixel, Lanes depth) {
    const Lanes behind = (depth - load(base_depth + pixel)) * inverse_gamma;
    const Mask counts = (depth < (Lanes)(NO_BASE)) & (behind < (Lanes)(HIDDEN));
    if (!any(counts)) return;
    const Lanes weight = counts ? exponential(-behind) : ZERO;
    store(layer_total + pixel, load(layer_total + pixel) + weight);
    store(layer_shade + pixel, load(layer_shade + pixel) + (counts ? weight * depth : ZERO));
});
for (long i = 0; i < (long)size * pitch; i++) {
    const float total = layer_total[i];
    if (total > 0.0f) {
        log_sum[i] = base_depth[i] - gamma * __builtin_logf(total);
        base_depth[i] = layer_shade[i] / total;
    } else {
        log_sum[i] = NO_BASE;
        base_depth[i] = far_depth;
    }
    layer_total[i] = layer_shade[i] = 0.0f;
}

// Layer and occluders.
for (int r = first_face; r < last_face; r++) {
    if (!read_face(r, true, face)) continue;
    for (int row = face.first_row; row <= face.last_row; row++)
        for (int column = face.first_column; column <= face.last_column; column += 8) {
            if (!see_face(face, row, column, at, fragment)) continue;
            const long pixel = (long)row * pitch + column;
            if (any(fragment.has_base)) {
                const Lanes share = (fragment.touched & fragment.has_base)
                                        ? fragment.area * fragment.near * (ONE - fragment.occludes)
                                        : ZERO;
                store(layer_total + pixel, load(layer_total + pixel) + share);
                store(layer_shade + pixel, load(layer_shade + pixel) + share * fragment.shade);
            }
            const Lanes halo = (fragment.touched & ~at.covers) ? fragment.fade * fragment.occludes : ZERO;
            const Mask fronts = halo > (Lanes)(min_halo);
            if (!any(fronts)) continue;
            const Lanes squared = fronts ? halo * halo : ZERO;
            store(mix_total + pixel, load(mix_total + pixel) + squared);
            store(mix_shade + pixel, load(mix_shade + pixel) + squared * fragment.shade);
            store(mix_depth + pixel, load(mix_depth + pixel) + squared * fragment.depth);
            const Lanes before = load(front + pixel);
            for (int lane = 0; lane < 8; lane++)
                if (fronts[lane] && halo[lane] > before[lane]) {
                    front[pixel + lane] = halo[lane];
                    winner[pixel + lane] = r;
                }
        }
}

// Means, and the images.
for (int row = 0; row < size; row++)
    for (int column = 0; column < size; column++) {
        const long pixel = (long)row * pitch + column, target = ((long)view * size + row) * size + column;
        const bool has_base = log_sum[pixel] < NO_BASE;
        if (has_base) layer_shade[pixel] /= layer_total[pixel];
        if (mix_total[pixel] > 0.0f) {
            mix_shade[pixel] /= mix_total[pixel];
            mix_depth[pixel] /= mix_total[pixel];
        }
        const float f = front[pixel];
        ((float*)image.data)[target] = (1.0f - f) * layer_shade[pixel] + f * mix_shade[pixel];
        ((float*)depth_image.data)[target] = (1.0f - f) * base_depth[pixel] + f * mix_depth[pixel];
        ((float*)alpha.data)[target] = has_base ? 1.0f : f;
    }
