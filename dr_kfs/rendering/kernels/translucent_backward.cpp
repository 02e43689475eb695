// Backward of the translucent composite, a chunk of pixels: the exact derivative of translucent_forward.cpp.
//
// Arguments (see _compositing_cpu_warp.py): starts, face, depth, shade, share, attenuation; first_pixel, last_pixel,
// task; gamma, far, margin; order, tau, front, layer, as the forward left them; grad_image, grad_alpha,
// grad_depth_image (P), or empty for a gradient that is 0; grad_depth, grad_shade, grad_share, grad_attenuation (K);
// scratch.

float* const g_f = row_of_scratch(8);
float* const g_own = row_of_scratch(9);
float* const g_z = row_of_scratch(10);
float* const g_c = row_of_scratch(11);
float* const g_t = row_of_scratch(12);
float* const g_f_behind = row_of_scratch(13);  // sum of g_f from here on

auto at_pixel = [](auto& gradient, int pixel) {
    return gradient.shape[0] > 0 ? ((const float*)gradient.data)[pixel] : 0.0f;
};

// Through the weighted mean: image = A sum v c / sum v and the depth alike, v = exp(-F) (1 - exp(-L)) / L tau.
auto through_mean = [&](int n, float to_image, float to_alpha, float to_depth) {
    const Seen seen = look(n);
    const Lanes total = seen.total, fading = exponential(-total);
    // Where nothing is seen, the limit: image = sum tau_j c_j to first order, so that A / sum v is 1.
    const bool any_seen = seen.weight > 0.0f;
    const float scale = any_seen ? (total * absorbed(total, fading))[0] / seen.weight : 1.0f;
    const float mean_shade = any_seen ? seen.shade / seen.weight : 0.0f;
    const float mean_depth = any_seen ? seen.depth / seen.weight : 0.0f;
    const float to_total = (to_alpha + to_image * mean_shade + to_depth * (mean_depth - far)) * fading[0];
    for (int k = 0; k < n; k += 8) {
        const Lanes l = load(own + k), fading = exponential(-l), taken = absorbed(l, fading);
        const Lanes through = exponential((Lanes)(seen.first) - load(f + k)), v = through * taken * load(t + k);
        const Lanes toward = scale * (to_image * (load(c + k) - mean_shade) + to_depth * (load(z + k) - mean_depth));
        store(g_f + k, -toward * v);
        store(g_own + k, toward * through * absorbed_slope(l, fading, taken) * load(t + k));
        store(g_z + k, scale * v * to_depth);
        store(g_c + k, scale * v * to_image);
        store(g_t + k, to_total + toward * through * taken);
    }
};

// Through F and L: for eight fragments i at a time, over the fragments j in whose F and L they are, and the other way.
auto through_layers = [&](int n) {
    g_f_behind[n] = 0.0f;
    for (int j = n - 1; j >= 0; j--) g_f_behind[j] = g_f_behind[j + 1] + g_f[j];
    for (Block block = next_block(Block{0, -1, 0, 0, ZERO}, n); block.first < n; block = next_block(block, n)) {
        const int i = block.first;
        const Lanes to_f = load(g_f + i), to_own = load(g_own + i), tau_i = load(t + i);
        // x = (z_j - z_i) / gamma has here the other sign: front and back change places.
        Lanes to_t = (Lanes)(g_f_behind[block.far_end]), to_z = ZERO;
        for (int j = block.near; j < block.far_end; j++) {
            const Pair pair = pair_of(power[j] * block.inverse_power);
            to_t += g_f[j] * pair.back + g_own[j] * pair.layer;
            const Lanes front_slope = pair.front * (ONE - pair.front), back_slope = pair.back * (ONE - pair.back);
            const Lanes layer_slope = front_slope - back_slope;
            to_z += t[j] * (to_f * front_slope - to_own * layer_slope) -
                    tau_i * (g_f[j] * back_slope + g_own[j] * layer_slope);
        }
        for (int lane = 0; lane <= block.last - i; lane++) {
            g_t[i + lane] += to_t[lane];
            g_z[i + lane] += to_z[lane] * inverse_gamma;
        }
    }
};

for (int pixel = first_pixel; pixel < last_pixel; pixel++) {
    const int start = start_of[pixel], n = start_of[pixel + 1] - start;
    const float to_image = at_pixel(grad_image, pixel), to_alpha = at_pixel(grad_alpha, pixel);
    const float to_depth = at_pixel(grad_depth_image, pixel);
    if (n == 0) continue;
    if (to_image == 0.0f && to_alpha == 0.0f && to_depth == 0.0f) {
        for (int k = start; k < start + n; k++) {
            ((float*)grad_depth.data)[k] = ((float*)grad_shade.data)[k] = 0.0f;
            ((float*)grad_share.data)[k] = ((float*)grad_attenuation.data)[k] = 0.0f;
        }
        continue;
    }
    gather(start, n);
    for (int k = 0; k < n; k++) {
        t[k] = ((const float*)tau.data)[start + k];
        f[k] = ((const float*)front.data)[start + k];
        own[k] = ((const float*)layer.data)[start + k];
    }
    for (int k = n; k < n + 7; k++) t[k] = f[k] = own[k] = 0.0f;
    through_mean(n, to_image, to_alpha, to_depth);
    through_layers(n);
    for (int k = 0; k < n; k++) {
        const int j = sorted[start + k];
        ((float*)grad_depth.data)[j] = g_z[k];
        ((float*)grad_shade.data)[j] = g_c[k];
        ((float*)grad_share.data)[j] = g_t[k] * attenuated[k];
        ((float*)grad_attenuation.data)[j] = g_t[k] * filled[k];
    }
}
