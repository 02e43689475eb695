// Gradients of one face's corners, summed over the pixels it meets: what the backward kernels of this folder share.
//
// Stands below face_lanes.h at the top of a kernel's body; reads grad_corners and grad_shades, shaped like corners and
// shades and 0 on entry, from its surroundings. No two threads write to one row of them, and a face is summed in
// registers: the same bits whatever the number of threads.

Located at;
// Sums per lane, of one face: gradients of the corners' x and y, of their inverse depths v_i, and of s_i v_i (flat: only
// the first, and that of the face's shade). On the screen v and s v are linear, z and s are not.
Lanes to_x[3], to_y[3], to_inverse[3], to_shade[3];

auto start_face = [&]() { for (int i = 0; i < 3; i++) to_x[i] = to_y[i] = to_inverse[i] = to_shade[i] = ZERO; };
auto add_face = [&](int r, const Face& face) {
    for (int i = 0; i < 3; i++) {
        float* const corner = (float*)grad_corners.data + corner_place(r, i);
        const auto total = four_sums(to_x[i], to_y[i], to_inverse[i], to_shade[i]);
        const float v = face.inverse_depth[i], of_inverse = flat ? total[2] : total[2] + total[3] * face.shade[i];
        corner[0] += total[0];
        corner[1] += total[1];
        corner[2] -= of_inverse * v * v;
        if (i == 0 || !flat) ((float*)grad_shades.data)[shade_place(r, i)] += flat ? total[3] : total[3] * v;
    }
};

// Gradient of depth z and shade at the points, in those of v and s v there: z = 1 / v, shade = z (s v).
struct Linear { Lanes inverse, shade; };
auto through_depth = [&](Lanes depth, Lanes shade, Lanes to_depth, Lanes to_shade_here) {
    if (flat) return Linear{-to_depth * depth * depth, to_shade_here};
    return Linear{-(to_depth * depth + to_shade_here * shade) * depth, to_shade_here * depth};
};

// The gradient of what v and s v depend on, by so much.
auto both = [&](const Linear& gradient, float of_inverse, float of_shade) {
    return flat ? gradient.inverse * of_inverse : gradient.inverse * of_inverse + gradient.shade * of_shade;
};

// Gradient of v and s v in their values at the corners, for points with these barycentrics.
auto through_values = [&](const Linear& gradient, const Lanes* weight) {
    for (int i = 0; i < 3; i++) {
        to_inverse[i] += gradient.inverse * weight[i];
        if (!flat) to_shade[i] += gradient.shade * weight[i];
    }
    if (flat) to_shade[0] += gradient.shade;
};

// Barycentrics of the points.
auto weigh_points = [&](Lanes* weight) {
    const Lanes rest = ONE - at.along;
    for (int i = 0; i < 3; i++) {
        const Lanes on_edge = at.nearest[i] ? rest : (at.nearest[(i + 2) % 3] ? at.along : ZERO);
        weight[i] = at.covers ? at.weight[i] : on_edge;
    }
};

// Gradient of the barycentrics, for covered centres: p = sum w_i v_i, so moving corner k by s changes the
// barycentrics as moving p by -w_k s does.
auto through_inside = [&](const Face& face, Mask mask, const Linear& gradient) {
    float rise_x[2] = {0.0f, 0.0f}, rise_y[2] = {0.0f, 0.0f};  // of v and s v, per NDC
    for (int i = 0; i < 3; i++) {
        const int j = (i + 1) % 3;
        const float v = face.inverse_depth[i] * face.inverse_area, values[2] = {v, flat ? 0.0f : face.shade[i] * v};
        for (int k = 0; k < 2; k++) {
            rise_x[k] -= values[k] * face.edge_y[j];
            rise_y[k] += values[k] * face.edge_x[j];
        }
    }
    const Lanes gx = mask ? both(gradient, rise_x[0], rise_x[1]) : ZERO;
    const Lanes gy = mask ? both(gradient, rise_y[0], rise_y[1]) : ZERO;
    for (int i = 0; i < 3; i++) {
        to_x[i] -= at.weight[i] * gx;
        to_y[i] -= at.weight[i] * gy;
    }
};

// Gradient of the squared distance to the nearest edge, and of where on it the nearest point lies.
auto through_edges = [&](const Face& face, Mask mask, Lanes to_squared, const Linear& gradient) {
    Lanes edge_x[3], edge_y[3], to_along[3];
    for (int i = 0; i < 3; i++) {
        const int j = (i + 1) % 3;
        const float* const v = face.inverse_depth;
        edge_x[i] = (Lanes)(face.edge_x[i]);
        edge_y[i] = (Lanes)(face.edge_y[i]);
        const float of_shade = flat ? 0.0f : face.shade[j] * v[j] - face.shade[i] * v[i];
        to_along[i] = both(gradient, (v[j] - v[i]) * face.inverse_length[i], of_shade * face.inverse_length[i]);
    }
    const Lanes ex = of_nearest(at, edge_x), ey = of_nearest(at, edge_y), dx = at.to_edge_x, dy = at.to_edge_y;
    const Lanes t = at.along, rest = ONE - t;
    // The nearest point's own motion along the edge does not change the distance to first order.
    const Lanes pull = mask ? 2.0f * to_squared : ZERO;
    const Mask slides = mask & ~at.covers & (t > ZERO) & (t < ONE);
    const Lanes slide = slides ? of_nearest(at, to_along) : ZERO;
    // t = -(c_i . e) / |e|^2 with e = c_j - c_i, and d = c_i + t e.
    const Lanes start_x = pull * rest * dx + slide * (dx - rest * ex), stop_x = pull * t * dx - slide * (dx + t * ex);
    const Lanes start_y = pull * rest * dy + slide * (dy - rest * ey), stop_y = pull * t * dy - slide * (dy + t * ey);
    for (int i = 0; i < 3; i++) {
        const Mask starts = at.nearest[i], stops = at.nearest[(i + 2) % 3];
        to_x[i] += starts ? start_x : (stops ? stop_x : ZERO);
        to_y[i] += starts ? start_y : (stops ? stop_y : ZERO);
    }
};
