"""Textures made of noise: fields N×N, float32, about from 0 to 1."""

import cv2
import numpy as np

from trainers.data.synthetic.brushes import plane


def noise(
    generator: np.random.Generator, size: int, cell_px: float, octaves: int = 4, persistence: float = 0.55
) -> np.ndarray:
    """Smooth noise of several octaves, of mean about 0 and standard deviation about 1.

    Each octave has half the cells and a share, the persistence, of the amplitude of the one before.
    """
    total: np.ndarray = np.zeros((size, size), np.float32)
    power = 0.0
    for octave in range(octaves):
        cell = cell_px / 2**octave
        if cell < 1 and octave:
            break
        coarse = min(size, int(size / max(cell, 1.0)) + 3)
        values = generator.standard_normal((coarse, coarse), np.float32)
        values *= np.float32(1.4 * persistence**octave)
        total += cv2.resize(values, (size, size), interpolation=cv2.INTER_CUBIC)
        power += persistence ** (2 * octave)
    total *= np.float32(power**-0.5)
    return total


def clipped(values: np.ndarray) -> np.ndarray:
    """The values, none below 0 or above 1."""
    within: np.ndarray = np.clip(values, 0, 1)
    return within


def stretched(values: np.ndarray) -> np.ndarray:
    """The values from 0 to 1, the lowest and the highest at the ends."""
    low, high, *_ = cv2.minMaxLoc(values)
    scaled: np.ndarray = (values - np.float32(low)) * np.float32(1 / max(high - low, 1e-6))
    return scaled


def wave(phase: np.ndarray) -> np.ndarray:
    """The sine of a phase, from 0 to 1."""
    half: np.ndarray = np.float32(0.5) + np.float32(0.5) * np.sin(phase)
    return half


def edged(generator: np.random.Generator, values: np.ndarray) -> np.ndarray:
    """A field with soft, sharp or no steps."""
    slope = (1.0, 1.0, 3.0, 10.0)[generator.integers(4)]
    if slope == 1:
        return values
    return clipped((values - np.float32(generator.uniform(0.35, 0.65))) * slope + 0.5)


def _plain(generator: np.random.Generator, size: int) -> np.ndarray:
    return np.full((size, size), generator.random(), np.float32)


def _gradient(generator: np.random.Generator, size: int) -> np.ndarray:
    x, y = plane(generator, size)
    return stretched(x + np.float32(generator.normal(0, 0.4)) * y * y)


def _glow(generator: np.random.Generator, size: int) -> np.ndarray:
    x, y = plane(generator, size)
    a, b = generator.normal(0, 0.6, 2)
    away = (x - a) ** 2 + generator.uniform(0.4, 2.5) * (y - b) ** 2
    return clipped(np.exp(-generator.uniform(0.5, 3) * away))


def _clouds(generator: np.random.Generator, size: int) -> np.ndarray:
    field = noise(generator, size, size * generator.uniform(0.1, 0.7), 5, generator.uniform(0.3, 0.9))
    return clipped(0.5 + 0.22 * field)


def _patches(generator: np.random.Generator, size: int) -> np.ndarray:
    field = noise(generator, size, size * generator.uniform(0.1, 0.5), 4, generator.uniform(0.3, 0.6))
    return clipped(0.5 + generator.uniform(1, 4) * (field + generator.normal(0, 0.4)))


def _ridges(generator: np.random.Generator, size: int) -> np.ndarray:
    field = np.abs(noise(generator, size, size * generator.uniform(0.15, 0.6), 4, generator.uniform(0.35, 0.65)))
    return clipped(1 - generator.uniform(0.7, 2.5) * field)


def _billows(generator: np.random.Generator, size: int) -> np.ndarray:
    first = np.abs(noise(generator, size, size * generator.uniform(0.15, 0.5), 1))
    return clipped(0.5 * first + 0.35 * np.abs(noise(generator, size, size * 0.12, 2)))


def _marble(generator: np.random.Generator, size: int) -> np.ndarray:
    x, _ = plane(generator, size)
    bent = noise(generator, size, size * generator.uniform(0.2, 0.6), 3)
    return edged(generator, wave(generator.uniform(4, 18) * x + generator.uniform(0.8, 3) * bent))


def _terraces(generator: np.random.Generator, size: int) -> np.ndarray:
    field = stretched(noise(generator, size, size * generator.uniform(0.2, 0.7), 3, 0.45))
    levels = np.float32(generator.integers(3, 8))
    scaled = field * levels
    return clipped((np.floor(scaled) + 0.3 * (scaled - np.floor(scaled))) / levels)


def _warped(generator: np.random.Generator, size: int) -> np.ndarray:
    """Noise at places that other noise has moved."""
    field = noise(generator, size, size * generator.uniform(0.1, 0.4), 3)
    line = np.arange(size, dtype=np.float32)
    reach = np.float32(size * generator.uniform(0.05, 0.2))
    x = line + reach * noise(generator, size, size * 0.4, 2)
    y = line[:, None] + reach * noise(generator, size, size * 0.4, 2)
    bent = cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return edged(generator, np.clip(0.5 + 0.25 * bent, 0, 1))


def _labyrinth(generator: np.random.Generator, size: int) -> np.ndarray:
    """Band-passed noise, as spots and stripes of reaction and diffusion are."""
    values = generator.standard_normal((size, size), np.float32)
    sigma = generator.uniform(0.9, 3.0)
    band = cv2.GaussianBlur(values, (0, 0), sigma) - cv2.GaussianBlur(values, (0, 0), 1.7 * sigma)
    return clipped(0.5 + generator.uniform(0.6, 4) * band * sigma * 2.5 + generator.normal(0, 0.2))


def _fibres(generator: np.random.Generator, size: int) -> np.ndarray:
    """Noise drawn out along a direction that turns slowly."""
    length, wide = int(generator.integers(6, 22)), int(1.5 * size)
    values = cv2.blur(generator.standard_normal((wide, wide), np.float32), (length, 1))
    centre, turn = (wide / 2, wide / 2), generator.uniform(0, 360)
    matrix = cv2.getRotationMatrix2D(centre, turn, generator.uniform(0.9, 1.6))
    matrix[:, 2] = matrix[:, 2] - (wide - size) / 2
    return clipped(0.5 + 0.2 * length**0.5 * cv2.warpAffine(values, matrix, (size, size)))


def _spectrum(generator: np.random.Generator, size: int) -> np.ndarray:
    """Noise whose amplitude falls with a power of the frequency, not in all directions alike."""
    line = np.fft.fftfreq(size).astype(np.float32)
    turn, squeeze = generator.uniform(0, np.pi), generator.uniform(1, 5)
    u = line[None, : size // 2 + 1] * np.cos(turn) + line[:, None] * np.sin(turn)
    v = line[:, None] * np.cos(turn) - line[None, : size // 2 + 1] * np.sin(turn)
    amplitude = np.maximum(u * u + squeeze * squeeze * v * v, 1 / size**2) ** (-0.5 * generator.uniform(0.4, 2.2))
    phases = generator.standard_normal((2, *amplitude.shape), np.float32)
    values = np.fft.irfft2(amplitude * (phases[0] + 1j * phases[1]), s=(size, size)).astype(np.float32)
    return clipped(0.5 + 0.22 * (values - values.mean()) / (values.std() + 1e-9))


SMOOTH = {
    function.__name__[1:]: function
    for function in (
        _plain,
        _gradient,
        _glow,
        _clouds,
        _patches,
        _ridges,
        _billows,
        _marble,
        _terraces,
        _warped,
        _labyrinth,
        _fibres,
        _spectrum,
    )
}
"""Textures of noise and gradients by their names."""
