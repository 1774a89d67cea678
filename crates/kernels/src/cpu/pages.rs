//! Pages of memory: large ones for what is large.

/// Smaller regions gain nothing from large pages.
const LEAST_BYTES: usize = 4 << 20;

/// Asks the system to back the memory of `values` with large pages (2 MiB instead of 4 KiB on x86-64), where it offers them and the
/// region is large enough: passes over parameters and gradients then wait less for translations of addresses. Without effect on
/// the values, and best before they are first written.
pub fn prefer_large<T>(values: &mut [T]) {
    #[cfg(target_os = "linux")]
    if size_of_val(values) >= LEAST_BYTES {
        /// Whole pages of any size that Linux has.
        const PAGE: usize = 1 << 16;
        let range = values.as_mut_ptr_range();
        let (start, end) = ((range.start as usize).next_multiple_of(PAGE), range.end as usize / PAGE * PAGE);
        if start < end {
            // SAFETY: the range lies inside the slice; the advice changes how memory is backed, not what it holds. Where the
            // system refuses it, nothing has changed.
            unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = values;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_as_they_are() {
        for len in [0, 1, 3 << 20, 5 << 20] {
            let mut values: Vec<u8> = (0..len).map(|i| i as u8).collect();
            prefer_large(&mut values);
            assert!(values.iter().enumerate().all(|(i, &x)| x == i as u8));
        }
    }
}
