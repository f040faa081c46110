//! Who may do what: the roles of a unit and the permission that every route names.

use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    Nurse,
    Physician,
    Fellow,
    Resident,
    RespiratoryTherapist,
    BiomedicalEngineer,
    Admin,
}

impl Role {
    pub const ALL: [Self; 7] = [
        Self::Nurse,
        Self::Physician,
        Self::Fellow,
        Self::Resident,
        Self::RespiratoryTherapist,
        Self::BiomedicalEngineer,
        Self::Admin,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Nurse => "nurse",
            Self::Physician => "physician",
            Self::Fellow => "fellow",
            Self::Resident => "resident",
            Self::RespiratoryTherapist => "respiratory-therapist",
            Self::BiomedicalEngineer => "biomedical-engineer",
            Self::Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == text)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// No login: the way to log in, and that the hub lives.
    Anyone,
    SignedIn,
    ViewUnit,
    /// Who lies in which bed.
    AdmitPatients,
    /// What a bed alarms at.
    SetLimits,
    /// Acknowledge, pause, reset, stand by, answer for.
    AnswerAlarms,
    /// Who answers for which bed.
    AssignNurses,
    /// Which pages are stations.
    ManageStations,
    /// A station's own doings: no person has this.
    Station,
}

impl Permission {
    /// Whether a person of this role may; None: nobody is logged in.
    pub const fn allows(self, role: Option<Role>) -> bool {
        let Some(role) = role else { return matches!(self, Self::Anyone) };
        match self {
            Self::Anyone | Self::SignedIn | Self::ViewUnit => true,
            Self::AdmitPatients => match role {
                Role::Nurse | Role::Physician | Role::Fellow | Role::Resident | Role::Admin => true,
                Role::RespiratoryTherapist | Role::BiomedicalEngineer => false,
            },
            Self::SetLimits => match role {
                Role::Nurse | Role::Physician | Role::Fellow | Role::Resident => true,
                Role::RespiratoryTherapist | Role::BiomedicalEngineer | Role::Admin => false,
            },
            // Who keeps the machines, and who keeps the accounts, silences no patient's alarm.
            Self::AnswerAlarms => match role {
                Role::Nurse
                | Role::Physician
                | Role::Fellow
                | Role::Resident
                | Role::RespiratoryTherapist => true,
                Role::BiomedicalEngineer | Role::Admin => false,
            },
            Self::AssignNurses => match role {
                Role::Nurse | Role::Physician | Role::Admin => true,
                Role::Fellow | Role::Resident | Role::RespiratoryTherapist | Role::BiomedicalEngineer => {
                    false
                }
            },
            Self::ManageStations => matches!(role, Role::BiomedicalEngineer | Role::Admin),
            Self::Station => false,
        }
    }
}
