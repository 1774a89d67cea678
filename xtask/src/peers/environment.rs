//! Virtual environments of Python with the peers, in compatible versions.

use std::env;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::venv;

/// A Python with one of the peers.
pub(crate) struct Environment {
    pub(super) what: &'static str,
    /// The variable that names a Python with the peer; then no environment is created.
    variable: &'static str,
    /// Its folder in `peers` of the target folder.
    folder: &'static str,
    /// All imported packages, installed exactly as listed here.
    packages: &'static [&'static str],
    /// A program that imports the used packages, and prints versions.
    probe: &'static str,
    probe_says: &'static str,
    /// Minor versions of Python 3 with wheels of all packages.
    pythons: RangeInclusive<u32>,
    /// Possible names of such a Python, the likeliest first.
    names: &'static [&'static str],
    needs: &'static str,
}

/// Sockeye itself requires MXNet 1.4.1, which no current Python can run; MXNet 1.9.1 is its last version, and NumPy 1.23 the last that it
/// works with.
pub(super) const SOCKEYE: Environment = Environment {
    what: "Sockeye 1.18.106 on MXNet 1.9.1",
    variable: "KOKANEE_PEERS_PYTHON",
    folder: "sockeye",
    packages: &[
        "sockeye==1.18.106",
        "mxnet==1.9.1",
        "numpy==1.23.5",
        "PyYAML==6.0.3",
        "portalocker==2.10.1",
        "sacrebleu==1.4.3",
        // A module that MXNet imports to download models.
        "requests==2.32.3",
        "certifi==2024.8.30",
        "charset-normalizer==3.4.0",
        "idna==3.10",
        "urllib3==2.2.3",
    ],
    // Sockeye must be imported before MXNet.
    probe: "import sockeye.train, sockeye.translate, sockeye, mxnet, numpy\n\
            print(sockeye.__version__, mxnet.__version__, numpy.__version__)",
    probe_says: "1.18.106 1.9.1 1.23.5",
    pythons: 8..=11,
    names: &["python3", "python3.11", "python3.10", "python3.9", "python3.8"],
    needs: "MXNet has wheels for x86-64 (Linux and macOS) only",
};

/// The wheel for Linux contains code for GPUs, and cannot be loaded without the libraries that this code names; so they are installed too,
/// though nothing calls them. Triton and other packages that only a GPU needs are left out.
pub(super) const PYTORCH: Environment = Environment {
    what: "PyTorch 2.15.0",
    variable: "KOKANEE_PYTORCH_PYTHON",
    folder: "pytorch",
    packages: &[
        "torch==2.15.0",
        "numpy==2.4.6",
        "typing_extensions==4.16.0",
        "sympy==1.14.0",
        "mpmath==1.4.1",
        "networkx==3.6.1",
        "jinja2==3.1.6",
        "markupsafe==3.0.4",
        "fsspec==2026.9.0",
        "filelock==4.2.11",
        "setuptools==80.10.2",
        "nvidia-cublas==13.4.1.3; sys_platform == 'linux'",
        "nvidia-cuda-cupti==13.2.86; sys_platform == 'linux'",
        "nvidia-cuda-nvrtc==13.2.86; sys_platform == 'linux'",
        "nvidia-cuda-runtime==13.2.86; sys_platform == 'linux'",
        "nvidia-cudnn-cu13==9.26.0.51; sys_platform == 'linux'",
        "nvidia-cufft==12.2.0.57; sys_platform == 'linux'",
        "nvidia-cufile==1.17.1.22; sys_platform == 'linux'",
        "nvidia-cusparse==12.7.10.12; sys_platform == 'linux'",
        "nvidia-cusparselt-cu13==0.8.1; sys_platform == 'linux'",
        "nvidia-nccl-cu13==2.30.7; sys_platform == 'linux'",
        "nvidia-nvjitlink==13.5.37; sys_platform == 'linux'",
        "nvidia-nvshmem-cu13==3.7.2; sys_platform == 'linux'",
    ],
    probe: "import torch, numpy\nprint(torch.__version__.split('+')[0], numpy.__version__)",
    probe_says: "2.15.0 2.4.6",
    pythons: 11..=13,
    names: &["python3", "python3.13", "python3.12", "python3.11"],
    needs: "it takes 4 GB of disk, and there are wheels for x86-64 Linux",
};

/// The libraries that numeric algorithms are compared with, and `rdata` with its dependencies, which reads R's data sets.
pub(super) const NUMERIC: Environment = Environment {
    what: "scikit-learn 1.9.1 and faiss 1.15.1",
    variable: "KOKANEE_NUMERIC_PYTHON",
    folder: "numeric",
    packages: &[
        "scikit-learn==1.9.1",
        "faiss-cpu==1.15.1",
        "numpy==2.4.6",
        "scipy==1.17.1",
        "joblib==1.6.0",
        "cloudpickle==3.1.3",
        "narwhals==2.29.0",
        "threadpoolctl==3.8.0",
        "packaging==26.4",
        "rdata==1.1.0",
        "xarray==2026.9.0",
        "pandas==3.1.1",
        "python-dateutil==4.0.0",
        "typing_extensions==4.16.0",
        "tzdata==2026.6",
    ],
    probe: "import sklearn, faiss, rdata\nprint(sklearn.__version__, faiss.__version__)",
    probe_says: "1.9.1 1.15.1",
    pythons: 11..=13,
    names: &["python3", "python3.13", "python3.12", "python3.11"],
    needs: "there are wheels for x86-64 and ARM, Linux and macOS",
};

/// The tuners that ours is compared with.
pub(super) const TUNER: Environment = Environment {
    what: "Optuna 5.0.0, scikit-optimize 0.10.2 and egobox 1.0.0",
    variable: "KOKANEE_TUNER_PYTHON",
    folder: "tuner",
    packages: &[
        "optuna==5.0.0",
        "scikit-optimize==0.10.2",
        "egobox==1.0.0",
        "alembic==1.20.1",
        "cloudpickle==3.1.3",
        "colorlog==6.12.0",
        "joblib==1.6.0",
        "Mako==1.4.3",
        "MarkupSafe==3.0.4",
        "narwhals==2.29.0",
        "numpy==2.4.6",
        "packaging==26.4",
        "pyaml==26.7.0",
        "PyYAML==6.0.4",
        "scikit-learn==1.9.1",
        "scipy==1.17.1",
        "SQLAlchemy==2.1.9",
        "threadpoolctl==3.8.0",
        "tqdm==4.70.1",
        "typing_extensions==4.16.0",
    ],
    probe: "import optuna, skopt, egobox\n\
            from importlib.metadata import version\n\
            print(optuna.__version__, skopt.__version__, version('egobox'))",
    probe_says: "5.0.0 0.10.2 1.0.0",
    pythons: 11..=13,
    names: &["python3", "python3.13", "python3.12", "python3.11"],
    needs: "there are wheels for x86-64 and ARM, Linux and macOS",
};

/// 0.13.0 is the last version with the `BayesianOptimization` of AMT's authors, and needs NumPy 1.
pub(super) const SYNE_TUNE: Environment = Environment {
    what: "Syne Tune 0.13.0",
    variable: "KOKANEE_SYNE_TUNE_PYTHON",
    folder: "syne-tune",
    packages: &[
        "syne_tune==0.13.0",
        "numpy==1.26.4",
        "autograd==1.9.1",
        "dill==0.4.1",
        "pandas==2.3.3",
        "python-dateutil==3.0.0",
        "pytz==2026.6",
        "scipy==1.15.3",
        "six==1.17.0",
        "sortedcontainers==2.4.0",
        "typing_extensions==4.16.0",
        "tzdata==2026.6",
    ],
    probe: "from importlib.metadata import version\n\
            import numpy\n\
            import contextlib, io\n\
            with contextlib.redirect_stdout(io.StringIO()):\n    \
                from syne_tune.optimizer.baselines import BayesianOptimization\n\
            print(version('syne_tune'), numpy.__version__)",
    probe_says: "0.13.0 1.26.4",
    pythons: 10..=10,
    names: &["python3.10", "python3"],
    needs: "it runs on Python 3.10 with NumPy 1",
};

/// moto's server: a mock of AWS that answers requests without doing the work.
pub(super) const MOTO: Environment = Environment {
    what: "moto 5.2.5",
    variable: "KOKANEE_MOTO_PYTHON",
    folder: "moto",
    packages: &[
        "annotated-types==0.8.0",
        "attrs==26.1.0",
        "aws-xray-sdk==2.15.0",
        "blinker==1.9.0",
        "boto3==1.44.8",
        "botocore==1.44.8",
        "certifi==2026.10.19.post1",
        "cffi==2.1.1",
        "cfn-lint==1.58.0",
        "charset-normalizer==3.5.3",
        "click==8.5.1",
        "cryptography==50.0.2",
        "docker==7.2.0",
        "Flask==3.1.3",
        "flask-cors==6.0.5",
        "graphql-core==3.3.2",
        "idna==3.20",
        "itsdangerous==2.2.0",
        "Jinja2==3.1.6",
        "jmespath==1.1.0",
        "joserfc==1.8.0",
        "jsonpatch==1.48",
        "jsonpath-ng==1.16.0",
        "jsonpointer==3.12",
        "jsonschema==4.26.0",
        "jsonschema-path==0.5.0",
        "jsonschema-specifications==2025.9.1",
        "lazy-object-proxy==1.13.0",
        "MarkupSafe==3.0.4",
        "moto==5.2.5",
        "mpmath==1.3.0",
        "networkx==3.6.1",
        "openapi-schema-validator==0.9.0",
        "openapi-spec-validator==0.9.0",
        "pathable==0.6.0",
        "py-partiql-parser==0.6.3",
        "pycparser==3.12",
        "pydantic==2.14.4",
        "pydantic-settings==2.16.3",
        "pydantic_core==2.50.5",
        "pyparsing==3.3.3",
        "python-dateutil==2.9.0.post0",
        "python-dotenv==1.2.4",
        "PyYAML==6.0.4",
        "referencing==0.37.0",
        "regex==2026.11.19",
        "requests==2.34.2",
        "responses==0.26.3",
        "rfc3339-validator==0.1.4",
        "rpds-py==2026.9.1",
        "s3transfer==0.19.3",
        "six==1.17.0",
        "sympy==1.14.0",
        "typing-inspection==0.4.5",
        "typing_extensions==4.16.0",
        "urllib3==2.8.0",
        "Werkzeug==3.1.9",
        "wrapt==2.5.2",
        "xmltodict==1.0.4",
        "antlr4-python3-runtime==4.13.2",
    ],
    probe: "import moto.server\nfrom importlib.metadata import version\nprint(version('moto'))",
    probe_says: "5.2.5",
    pythons: 10..=13,
    names: &["python3", "python3.13", "python3.12", "python3.11", "python3.10"],
    needs: "it is pure Python",
};

impl Environment {
    /// The Python of the user's variable, otherwise that of the target folder, which is created if it is missing or does not work.
    pub(super) fn set_up(&self, target_dir: &Path) -> Result<PathBuf> {
        let (python, is_named) = self.place(target_dir);
        let Err(fault) = self.probe(&python) else { return Ok(python) };
        ensure!(
            !is_named,
            "{} names {}, which has no {}: {fault}\ninstall {} there, or unset {} to have an environment made",
            self.variable,
            python.display(),
            self.what,
            self.packages.join(" "),
            self.variable,
        );
        let dir = self.dir(target_dir);
        venv::make(&self.base()?, &dir, self.packages)
            .with_context(|| format!("{} could not be installed; {}", self.what, self.needs))?;
        match self.probe(&python) {
            Ok(()) => Ok(python),
            Err(fault) => {
                bail!("{} was installed in {} and does not work: {fault}", self.what, dir.display())
            }
        }
    }

    /// The Python with the peer, which must exist.
    pub(crate) fn ready(&self, target_dir: &Path) -> Result<PathBuf> {
        let (python, is_named) = self.place(target_dir);
        match self.probe(&python) {
            Ok(()) => Ok(python),
            Err(fault) if is_named => {
                bail!("{} names {}, which has no {}: {fault}", self.variable, python.display(), self.what)
            }
            Err(fault) => bail!(
                "{} is not there: {fault}\n`cargo xtask peers setup {}` installs it",
                self.what,
                self.folder
            ),
        }
    }

    fn dir(&self, target_dir: &Path) -> PathBuf {
        target_dir.join("peers").join(self.folder)
    }

    /// The expected path of the Python, and whether the user set it.
    fn place(&self, target_dir: &Path) -> (PathBuf, bool) {
        match env::var_os(self.variable) {
            Some(python) => (python.into(), true),
            None => (venv::interpreter(&self.dir(target_dir)), false),
        }
    }

    /// Checks that `python` has the peer; the error says why not.
    fn probe(&self, python: &Path) -> Result<(), String> {
        let said = says(python, self.probe)?;
        if said == self.probe_says {
            return Ok(());
        }
        Err(format!("it has it in the versions {said}, and {} are meant", self.probe_says))
    }

    /// A Python to create the environment with.
    fn base(&self) -> Result<PathBuf> {
        let mut found = Vec::new();
        for name in self.names {
            match says(Path::new(name), "import sys; print(*sys.version_info[:2])") {
                Ok(version) if self.suits(&version) => return Ok(name.into()),
                Ok(version) => found.push(format!("{name} is {}", version.replace(' ', "."))),
                Err(_) => {}
            }
        }
        let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
        bail!(
            "{} needs Python 3.{} to 3.{} with its module venv, and found {found}: install one as {}, or set {} to a Python \
             that has it",
            self.what,
            self.pythons.start(),
            self.pythons.end(),
            self.names[1..].join(", "),
            self.variable
        );
    }

    /// Whether packages exist for a version such as `3 11`.
    fn suits(&self, version: &str) -> bool {
        let minor = version.strip_prefix("3 ").and_then(|minor| minor.parse().ok());
        minor.is_some_and(|minor| self.pythons.contains(&minor))
    }
}

/// The output of a Python program, or the end of its error message.
fn says(python: &Path, program: &str) -> Result<String, String> {
    let output = Command::new(python)
        .args(["-W", "ignore", "-c", program])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{} cannot be started: {error}", python.display()))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        let last = words.trim_end().lines().next_back().unwrap_or("it says nothing");
        return Err(format!("{last} ({})", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pythons_with_wheels_are_suitable() {
        let cases =
            [("3 7", false), ("3 8", true), ("3 11", true), ("3 12", false), ("2 7", false), ("", false)];
        for (version, want) in cases {
            assert_eq!(SOCKEYE.suits(version), want, "{version:?}");
        }
        assert!(PYTORCH.suits("3 12") && !PYTORCH.suits("3 10"));
    }

    #[test]
    fn a_python_that_is_not_there_is_named() {
        let fault = SOCKEYE.probe(Path::new("no/such/python3")).unwrap_err();
        assert!(fault.starts_with("no/such/python3 cannot be started: "), "{fault}");
    }

    #[test]
    fn every_package_is_pinned_and_the_probe_asks_for_the_same_versions() {
        for environment in [SOCKEYE, PYTORCH, NUMERIC, TUNER, SYNE_TUNE] {
            let versions: Vec<&str> = environment
                .packages
                .iter()
                .map(|package| package.split_once("==").expect(package).1)
                .collect();
            let asked = environment.probe_says.split(' ').count();
            assert_eq!(environment.probe_says, versions[..asked].join(" "));
        }
    }

    #[test]
    fn what_is_not_set_up_is_refused_with_the_command() {
        let error = PYTORCH.ready(Path::new("no/such/target")).unwrap_err().to_string();
        assert!(error.contains("`cargo xtask peers setup pytorch`"), "{error}");
    }
}
