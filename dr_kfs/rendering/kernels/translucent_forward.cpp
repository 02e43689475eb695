// Forward of the translucent composite, a chunk of pixels: sort, the fragments' F and L, their weighted mean.
//
// Arguments (see _compositing_cpu_warp.py): starts, face, depth, shade, share, attenuation; first_pixel,
// last_pixel, task; gamma, far, margin; order, tau, front, layer; image, alpha, depth_image; scratch.

float* const unsorted = power;  // not needed yet

// Orders the n fragments from `start` on by depth. The place of each is the number of those before it, for eight of
// them at a time: no branch depends on the depths.
auto sort_by_depth = [&](int start, int n) {
    const float* const from = (const float*)depth.data + start;
    for (int k = 0; k < n; k++) unsorted[k] = from[k];
    for (int k = n; k < n + 7; k++) unsorted[k] = LARGEST;
    for (int k = 0; k < n; k += 8) {
        const Lanes mine = load(unsorted + k);
        Mask place = 0;
        for (int i = 0; i < n; i++) {
            const Lanes other = unsorted[i];
            place -= (other < mine) | ((other == mine) & ((Mask)(i - k) < STEPS));
        }
        for (int lane = 0; lane < 8 && k + lane < n; lane++) sorted[start + place[lane]] = start + k + lane;
    }
};

// F and L of the n sorted fragments, eight at a time, and 0 behind them. A block's lanes behind its last are those of the
// next block, which writes them again.
auto find_layers = [&](int n) {
    int passed = 0;  // up to which everything lies clearly in front
    float passed_tau = 0.0f;
    for (Block block = next_block(Block{0, -1, 0, 0, ZERO}, n); block.first < n; block = next_block(block, n)) {
        while (passed < block.near) passed_tau += t[passed++];
        Lanes in_front = (Lanes)(passed_tau), beside = ZERO;
        for (int i = block.near; i < block.far_end; i++) {
            const Pair pair = pair_of(power[i] * block.inverse_power);
            in_front += t[i] * pair.front;
            beside += t[i] * pair.layer;
        }
        store(f + block.first, in_front);
        store(own + block.first, beside);
    }
    for (int k = n; k < n + 7; k++) f[k] = own[k] = 0.0f;
};

for (int pixel = first_pixel; pixel < last_pixel; pixel++) {
    const int start = start_of[pixel], n = start_of[pixel + 1] - start;
    float image_here = 0.0f, alpha_here = 0.0f, depth_here = far;
    if (n > 0) {
        sort_by_depth(start, n);
        gather(start, n);
        for (int k = 0; k < n; k += 8) store(t + k, load(attenuated + k) * load(filled + k));
        find_layers(n);
        for (int k = 0; k < n; k++) {
            ((float*)tau.data)[start + k] = t[k];
            ((float*)front.data)[start + k] = f[k];
            ((float*)layer.data)[start + k] = own[k];
        }
        const Seen seen = look(n);
        const Lanes total = seen.total;
        alpha_here = (total * absorbed(total, exponential(-total)))[0];
        if (seen.weight > 0.0f) {
            image_here = alpha_here * (seen.shade / seen.weight);
            depth_here = alpha_here * (seen.depth / seen.weight) + (1.0f - alpha_here) * far;
        }
    }
    ((float*)image.data)[pixel] = image_here;
    ((float*)alpha.data)[pixel] = alpha_here;
    ((float*)depth_image.data)[pixel] = depth_here;
}
