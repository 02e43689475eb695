// Eight faces in the light, below row_lanes.h. Reads vertices (N, 3), faces (F, 3), whose vertices are there, eye
// (V, 3), light_x, light_y, light_z, tiny.

struct LitFaces {
    Three corner[3];        // the origin in place of one that is too far
    Mask all_near;
    Three normal;           // twice the area long
    Three center, unit;
    Lanes length, cosine;
};
const Three light = {(Lanes)(light_x), (Lanes)(light_y), (Lanes)(light_z)};
auto lit_faces = [&](int first, int count) {
    LitFaces lit;
    lit.all_near = STEPS < (Mask)(count);
    for (int i = 0; i < 3; i++) {
        Three p = {ZERO, ZERO, ZERO};
        for (int lane = 0; lane < count; lane++) {
            const long vertex = ((const long long*)faces.data)[3 * (long)(first + lane) + i];
            const float* const row = (const float*)vertices.data + 3 * vertex;
            p.x[lane] = row[0];
            p.y[lane] = row[1];
            p.z[lane] = row[2];
        }
        lit.all_near &= is_near(p);
        lit.corner[i] = or_origin(p);
    }
    lit.normal = cross(minus(lit.corner[1], lit.corner[0]), minus(lit.corner[2], lit.corner[0]));
    lit.center = scaled(plus(plus(lit.corner[0], lit.corner[1]), lit.corner[2]), (Lanes)(1.0f / 3.0f));
    lit.length = length_of(lit.normal);
    lit.unit = scaled(lit.normal, ONE / larger(lit.length, (Lanes)(tiny)));
    lit.cosine = dot(lit.unit, light);
    return lit;
};

// -1 where the camera sees the back of a face, whose normal is turned then.
auto facing = [&](const LitFaces& lit, int camera) {
    const Three to_eye = minus(three((const float*)eye.data + 3 * camera), lit.center);
    return dot(lit.normal, to_eye) < ZERO ? -ONE : ONE;
};
