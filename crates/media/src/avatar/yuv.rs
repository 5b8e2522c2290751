//! A picture as codecs take it: brightness of every pixel, colour of every fourth.

use resvg::tiny_skia::Pixmap;

/// A picture in I420, by BT.601 with limited range, which is what viewers assume when nothing is said.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its width in pixels, even.
    pub width: usize,
    /// Its height in pixels, even.
    pub height: usize,
    /// Brightness, then the two colours.
    pub planes: [Vec<u8>; 3],
}

impl Frame {
    /// Converts drawn pixels; what is transparent becomes black. Sides are even.
    pub(super) fn of(pixels: &Pixmap) -> Self {
        let (width, height) = (pixels.width() as usize, pixels.height() as usize);
        let rgb: Vec<[i32; 3]> =
            pixels.pixels().iter().map(|p| [p.red(), p.green(), p.blue()].map(i32::from)).collect();
        let luma = rgb.iter().map(|&[r, g, b]| byte(66 * r + 129 * g + 25 * b, 16)).collect();
        let (mut blue, mut red) = (Vec::new(), Vec::new());
        for row in (0..height).step_by(2) {
            for column in (0..width).step_by(2) {
                let block = [(0, 0), (0, 1), (1, 0), (1, 1)];
                let sum = block.iter().fold([0; 3], |sum, (down, right)| {
                    let pixel = rgb[(row + down) * width + column + right];
                    [sum[0] + pixel[0], sum[1] + pixel[1], sum[2] + pixel[2]]
                });
                let [r, g, b] = sum.map(|total| (total + 2) / 4);
                blue.push(byte(-38 * r - 74 * g + 112 * b, 128));
                red.push(byte(112 * r - 94 * g - 18 * b, 128));
            }
        }
        Self { width, height, planes: [luma, blue, red] }
    }
}

/// A sum in 1/256 as a byte above `zero`.
fn byte(sum: i32, zero: i32) -> u8 {
    u8::try_from((((sum + 128) >> 8) + zero).clamp(0, 255)).unwrap_or(0)
}
