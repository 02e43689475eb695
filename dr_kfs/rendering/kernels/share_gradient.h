// Gradient of the share: the bump's integral along the edges, times how far they move outwards. Below share_lanes.h
// and face_gradient.h.

auto through_share = [&](const Outline& outline, Lanes to_share) {
    const Lanes scale = to_share * (outline.turn * 2.0f * inverse_reach / 3.14159265f);
    for (int i = 0; i < 3; i++) {
        const int j = (i + 1) % 3;
        const Line line = line_of(outline, at, i);
        const Lanes low = line.low, high = line.high, low2 = low * low, high2 = high * high;
        const Mask meets = (scale != ZERO) & (high > low);
        if (!any(meets)) continue;
        // Integrals of k and of t k over the part inside the bump.
        const Lanes room = ONE - line.height * line.height;
        const Lanes zeroth = room * (high - low) - (high2 * high - low2 * low) * (1.0f / 3.0f);
        const Lanes moment = 0.5f * room * (high2 - low2) - 0.25f * (high2 * high2 - low2 * low2);
        const Lanes per_length = meets ? scale / (line.stop - line.start) : ZERO;
        const Lanes at_first = meets ? per_length * (line.stop * zeroth - moment) : ZERO;
        const Lanes at_second = meets ? per_length * (moment - line.start * zeroth) : ZERO;
        // Outwards: to the right of the edge.
        to_x[i] += at_first * outline.direction_y[i];
        to_y[i] -= at_first * outline.direction_x[i];
        to_x[j] += at_second * outline.direction_y[i];
        to_y[j] -= at_second * outline.direction_x[i];
    }
};
